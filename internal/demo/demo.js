// The page is whole without this file. It sends the forms without leaving the
// page, and on every event it fetches the page and puts the parts that differ
// in place. The browser parses each as a document, so no text becomes markup.
"use strict";

const at = (id) => document.getElementById(id);
const say = (text) => { at("news").textContent = text; };
const spoken = (code) => code.split("").join(" ");
let loading = false, again = false, otp = null;

// fetchPage resolves to the page as a document, after redirects.
function fetchPage(method, url, body) {
  return new Promise((resolve, reject) => {
    const x = new XMLHttpRequest();
    x.open(method, url);
    x.responseType = "document";
    x.timeout = 40000;
    x.onload = () => (x.status === 200 && x.response?.getElementById("main") ? resolve(x.response) : reject(new Error(x.status)));
    x.onerror = x.ontimeout = () => reject(new Error("no answer"));
    x.send(body);
  });
}

// show puts in place what differs. moved: a form was sent, so the focus follows.
function show(page, moved) {
  const main = at("main"), next = page.getElementById("main");
  const other = main.dataset.run !== next.dataset.run;
  main.dataset.run = next.dataset.run;
  const panel = at("panel"), newer = page.getElementById("panel");
  // An answer that was overtaken by a later one must not undo it.
  if (other || Number(newer.dataset.rev) > Number(panel.dataset.rev)) {
    const inside = panel.contains(document.activeElement);
    const focus = newer.querySelector("[autofocus]");
    focus?.removeAttribute("autofocus"); // that is for pages that are loaded
    panel.replaceWith(newer);
    document.title = page.title;
    prepare(newer);
    if (moved || inside) {
      focus?.focus();
      focus?.select?.(); // what was typed can be typed over
    }
  }
  at("phone-title").replaceChildren(...page.getElementById("phone-title").childNodes);
  const texts = sync("texts", page);
  at("empty").hidden = at("texts").childElementCount > 0;
  if (texts.length > 0) {
    texts.forEach(reveal);
    at("screen").scrollTop = at("screen").scrollHeight;
    const body = texts.at(-1).querySelector(".bubble").textContent;
    say(`New text on the phone: ${body.replace(/\d{6,10}/, spoken)}`);
  }
  sync("log", page);
}

// sync makes the list as it is in page. An item is touched only if it differs,
// so that what has the focus keeps it. It returns the new items.
function sync(id, page) {
  const list = at(id), fresh = [];
  let place = list.firstElementChild;
  for (const item of [...page.getElementById(id).children]) {
    const old = at(item.id);
    if (!old || old.dataset.rev !== item.dataset.rev) {
      if (!old) fresh.push(item);
      if (old && old === place) place = place.nextElementSibling;
      old?.remove();
      list.insertBefore(item, place);
    } else if (old === place) {
      place = place.nextElementSibling;
    } else {
      list.insertBefore(old, place);
    }
  }
  while (place) {
    const rest = place.nextElementSibling;
    place.remove();
    place = rest;
  }
  return fresh;
}

// refresh fetches the page; at most one fetch is under way.
async function refresh() {
  if (loading) { again = true; return; }
  loading = true;
  try {
    show(await fetchPage("GET", "/"), false);
    at("link").textContent = "live";
  } catch {
    lost();
  } finally {
    loading = false;
    if (again) { again = false; refresh(); }
  }
}

function lost() { at("link").textContent = "connection lost: is the demo still running?"; }

async function submit(e) {
  e.preventDefault();
  const form = e.target;
  if (form.dataset.busy) return;
  form.dataset.busy = "yes";
  otp?.abort();
  try {
    show(await fetchPage("POST", form.action, new URLSearchParams(new FormData(form))), true);
  } catch {
    lost();
    say("The demo does not answer.");
  } finally {
    delete form.dataset.busy;
  }
}

// countdown keeps the button shut until the service would send another text.
function countdown(button) {
  const until = performance.now() + 1000 * Number(button.dataset.wait);
  const tick = () => {
    if (!button.isConnected) return;
    const left = Math.ceil((until - performance.now()) / 1000);
    button.disabled = left > 0;
    button.querySelector(".wait").textContent = left > 0 ? ` in ${left} s` : "";
    if (left > 0) setTimeout(tick, 250);
    else if (Number(button.dataset.wait) > 0) say("You can ask for another text now.");
  };
  tick();
}

// listen takes the code from a text that ends in this site's name, where the
// browser is on the phone (WebOTP).
async function listen(form, code) {
  if (!("OTPCredential" in window)) return;
  otp = new AbortController();
  try {
    const text = await navigator.credentials.get({ otp: { transport: ["sms"] }, signal: otp.signal });
    if (!text?.code || !code.isConnected) return;
    code.value = text.code;
    form.requestSubmit();
  } catch {
    // The person was faster, or the browser reads no texts.
  }
}

function reveal(item) {
  for (const b of item.querySelectorAll(".fill")) b.hidden = false;
}

// prepare wires a panel that was put in place.
function prepare(panel) {
  otp?.abort();
  for (const form of panel.querySelectorAll("form")) form.addEventListener("submit", submit);
  for (const b of panel.querySelectorAll("[data-fill]")) b.addEventListener("click", () => fill("to", b.dataset.fill));
  for (const p of panel.querySelectorAll("#suggestions")) p.hidden = false;
  for (const b of panel.querySelectorAll("[data-wait]")) countdown(b);
  const code = panel.querySelector("#code");
  if (code) listen(code.form, code);
}

function fill(id, value) {
  const field = at(id);
  if (!field) return;
  field.value = value;
  field.focus();
}

at("texts").addEventListener("click", (e) => {
  const b = e.target.closest(".fill");
  if (!b) return;
  if (at("code")) fill("code", b.dataset.code);
  else say("No code is asked for now.");
});

prepare(at("panel"));
[...at("texts").children].forEach(reveal);
at("screen").scrollTop = at("screen").scrollHeight;

function connect() {
  const events = new EventSource("events");
  events.addEventListener("changed", refresh);
  events.addEventListener("error", () => {
    lost();
    if (events.readyState !== EventSource.CLOSED) return; // it tries again by itself
    setTimeout(() => { refresh().then(connect); }, 2000); // the session was forgotten
  });
}
connect();
