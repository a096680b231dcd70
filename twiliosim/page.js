// The page of the simulated phone. Every text is written by whoever sends it,
// so it reaches the document through textContent only, never as markup.
"use strict";

const shown = 200; // texts on the screen; the rest stays in /sim/messages
const names = 100; // numbers in the list
const at = (id) => document.getElementById(id);
const screen = at("screen"), list = at("texts"), picker = at("number");
const texts = new Map(); // sid -> message
const items = new Map(); // sid -> its element
const numbers = new Map(); // number -> its option, the newest last
const changed = new Set(); // sids to draw
const arrived = new Set(); // sids that came while a fetch was under way
let loaded = false, loading = false, again = false, drawing = false, sort = false;

function make(tag, className, text) {
  const e = document.createElement(tag);
  e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
}

function clock(time) {
  return new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

function codeIn(body) {
  const found = body.match(/(?<![\d.,+-])\d{4,10}(?![\d.,-]*\d)/);
  return found ? found[0] : "";
}

async function copy(code, hint) {
  try {
    await navigator.clipboard.writeText(code);
    hint.textContent = "copied";
    say(`Code ${spoken(code)} copied`);
  } catch {
    hint.textContent = "not copied: the browser refused";
  }
  setTimeout(() => { hint.textContent = "copy"; }, 2000);
}

const spoken = (code) => code.split("").join(" "); // read digit by digit
const say = (text) => { at("news").textContent = text; };

function codeButton(code) {
  const b = make("button", "code");
  b.type = "button";
  b.setAttribute("aria-label", `Copy code ${spoken(code)}`);
  const hint = make("small", "", "copy");
  b.append(code, hint);
  b.addEventListener("click", () => copy(code, hint));
  return b;
}

function steps(m) {
  const ol = make("ol", "steps");
  ol.setAttribute("aria-label", "Status");
  m.statuses.forEach((s, i) => {
    const last = i === m.statuses.length - 1;
    const li = make("li", s.status, s.status + (last && m.error_code ? ` ${m.error_code}` : ""));
    li.title = clock(s.time);
    ol.append(li);
  });
  return ol;
}

// An element is built once; later only what changes is replaced, so that the
// keyboard focus on its button survives.
function draw(m) {
  let li = items.get(m.sid);
  if (!li) {
    li = make("li", loaded ? "fresh" : "");
    const head = make("div", "head");
    const time = make("time", "", clock(m.date_created));
    time.dateTime = m.date_created;
    head.append(make("span", "from"), time);
    li.append(head, make("div", "body"), make("div", "mark"), steps(m));
    items.set(m.sid, li);
    list.append(li);
  }
  li.querySelector(".from").textContent = `${m.from || "sender not chosen yet"} → ${m.to}`;
  const body = li.querySelector(".body");
  if (body.textContent !== m.body || m.body === "") {
    body.textContent = m.body || "(no text: redacted)";
    const code = codeIn(m.body);
    li.querySelector(".mark").replaceChildren(...(code ? [codeButton(code)] : []));
  }
  li.querySelector(".steps").replaceWith(steps(m));
}

function note(number) {
  let option = numbers.get(number);
  if (option) return;
  option = make("option", "", number);
  option.value = number;
  numbers.set(number, option);
  picker.append(option);
  for (const [oldest, o] of numbers) {
    if (numbers.size <= names) break;
    if (oldest === picker.value || oldest === number) continue;
    o.remove();
    numbers.delete(oldest);
  }
}

const atNewest = () => screen.scrollHeight - screen.scrollTop - screen.clientHeight < 40;

function scrollDown() {
  screen.scrollTop = screen.scrollHeight;
  at("newest").hidden = true;
}

function forget(sid) {
  texts.delete(sid);
  items.get(sid)?.remove();
  items.delete(sid);
}

function keep(m) {
  note(m.to);
  if (picker.value && m.to !== picker.value) return;
  texts.set(m.sid, m);
  changed.add(m.sid);
  for (const sid of texts.keys()) { // the oldest come first
    if (texts.size <= shown) break;
    forget(sid);
  }
}

// Drawing waits for the next frame: a flood of texts costs one pass a frame.
function redraw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    const follow = atNewest() || !loaded;
    let news = null;
    for (const sid of changed) {
      const m = texts.get(sid);
      if (!m) continue;
      if (loaded && !items.has(sid)) news = m;
      draw(m);
    }
    changed.clear();
    if (sort) putInOrder();
    at("empty").hidden = texts.size > 0;
    if (news) {
      const code = codeIn(news.body);
      say(`New text to ${news.to}: ${code ? news.body.replace(code, spoken(code)) : news.body}`);
      at("newest").hidden = follow;
    }
    if (follow) scrollDown();
    loaded = true;
  });
}

// putInOrder moves elements only if they have to: a moved one loses the focus.
function putInOrder() {
  sort = false;
  const right = [...texts.keys()].map((sid) => items.get(sid));
  if (right.some((li, i) => list.children[i] !== li)) list.replaceChildren(...right);
}

// load fetches what there is; at most one fetch is under way.
async function load() {
  if (loading) { again = true; return; }
  loading = true;
  arrived.clear();
  try {
    const q = new URLSearchParams({ limit: shown });
    if (picker.value) q.set("to", picker.value);
    const answer = await fetch(`messages?${q}`);
    if (!answer.ok) throw new Error(answer.status);
    const { messages } = await answer.json();
    const there = new Set(messages.map((m) => m.sid));
    const later = [...arrived].filter((sid) => !there.has(sid) && texts.has(sid)).map((sid) => texts.get(sid));
    for (const sid of [...texts.keys()]) if (!there.has(sid)) forget(sid);
    texts.clear();
    for (const m of messages.reverse().concat(later)) keep(m);
    sort = true;
    redraw();
  } catch {
    setTimeout(load, 2000);
  } finally {
    loading = false;
    if (again) { again = false; setTimeout(load, 300); }
  }
}

picker.addEventListener("change", () => {
  for (const sid of [...texts.keys()]) forget(sid);
  loaded = false;
  load();
});
at("bar").addEventListener("submit", (e) => e.preventDefault());
at("newest").addEventListener("click", () => { scrollDown(); screen.focus(); });
screen.addEventListener("scroll", () => { if (atNewest()) at("newest").hidden = true; });
at("clear").addEventListener("click", async () => {
  const answer = await fetch("messages", { method: "DELETE" });
  say(answer.ok ? "All texts are forgotten" : "The texts could not be forgotten");
});
at("origin").textContent = location.origin;

const events = new EventSource("events");
events.addEventListener("open", () => { at("link").textContent = "live"; });
events.addEventListener("error", () => { at("link").textContent = "connection lost, trying again …"; });
events.addEventListener("reset", load);
events.addEventListener("message", (e) => {
  const m = JSON.parse(e.data);
  // A change of a text that has scrolled out of memory does not bring it back.
  if (m.statuses.length > 1 && !texts.has(m.sid)) return;
  if (loading) arrived.add(m.sid);
  keep(m);
  redraw();
});
