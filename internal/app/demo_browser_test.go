package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// The demo's page in a browser. All tests share one browser; each has a demo
// and a tab of its own, and fails when the console has anything to say.
func TestDemoInBrowser(t *testing.T) {
	in := startBrowser(t)
	for name, test := range map[string]func(*testing.T, browser){
		"a whole sign-in":       browseSignIn,
		"five wrong codes":      browseWrongCodes,
		"resend before time":    browseResend,
		"change the number":     browseChange,
		"keyboard only":         browseKeyboard,
		"narrow window":         browseNarrow,
		"what readers are told": browseReaders,
		"two tabs":              browseTabs,
		"hostile text":          browseHostile,
		"the demo is gone":      browseGone,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, in)
		})
	}
}

const wide = 1100

func browseSignIn(t *testing.T, in browser) {
	address, _ := runDemo(t)
	b := newTab(t, in, address, wide, false)
	b.screenshot("1 number wide")
	b.start("+1 415 555 0134")
	b.sees("A text is on its way to +14155550134.")
	code := b.code()
	// Live, without a reload: the steps as Twilio reports them.
	b.wait(`[...document.querySelectorAll("#log .steps li")].map(e => e.className).join() === "accepted,queued,sent,delivered"`)
	b.sees("POST /v1/verifications")
	b.sees("201 Created")
	b.screenshot("2 code wide")
	b.try(code)
	b.sees("You are signed in")
	b.sees(`"valid": true`)
	if id := b.focused(); id != "panel-title" {
		t.Errorf("the focus is on %q after signing in", id)
	}
	b.screenshot("3 done wide")
	text := js[string](b, `document.documentElement.outerHTML`)
	if strings.Contains(text, "sd_") {
		t.Error("the page has the API key in it")
	}
	if cookies := js[string](b, `document.cookie`); cookies != "" {
		t.Errorf("scripts see the cookie %q", cookies)
	}
	b.do(chromedp.Reload())
	b.sees("You are signed in")
}

func browseWrongCodes(t *testing.T, in browser) {
	address, _ := runDemo(t)
	b := newTab(t, in, address, wide, true)
	b.start("+1 415 555 0134")
	code := b.code()
	for left := 4; left >= 1; left-- {
		b.try(wrong(code))
		words := fmt.Sprintf("You have %d tries left.", left)
		if left == 1 {
			words = "You have one try left."
		}
		b.sees(words)
		if described := js[string](b, `document.getElementById("code").getAttribute("aria-describedby")`); !strings.Contains(described, "fault") {
			t.Errorf("the field is described by %q, not by the error", described)
		}
		if id := b.focused(); id != "code" {
			t.Errorf("the focus is on %q after a wrong code", id)
		}
	}
	b.screenshot("4 wrong dark")
	b.try(wrong(code))
	b.sees("That was the last try.")
	if js[bool](b, `!!document.getElementById("code")`) {
		t.Error("another code can be typed")
	}
	if id := b.focused(); id != "panel-title" {
		t.Errorf("the focus is on %q after the last try", id)
	}
	b.screenshot("5 ended dark")
}

func browseResend(t *testing.T, in browser) {
	address, _ := runDemo(t)
	b := newTab(t, in, address, wide, false)
	b.start("+1 415 555 0134")
	if !js[bool](b, `document.getElementById("resend").disabled`) {
		t.Error("the button is open before its time")
	}
	first := js[string](b, `document.getElementById("resend").textContent`)
	b.wait(fmt.Sprintf(`document.getElementById("resend").textContent !== %q`, first)) // it counts down
	// Forced, the service has the last word.
	js[chromedp.Void](b, `document.getElementById("resend").disabled = false; document.getElementById("resend").form.requestSubmit()`)
	b.sees("Too soon or too often. Try again in")
	b.sees("429 Too Many Requests")
	b.sees("Retry-After:")
	if n := js[int](b, `document.querySelectorAll("#texts > li").length`); n != 1 {
		t.Errorf("%d texts arrived, want 1", n)
	}
	b.screenshot("6 too soon wide")
	b.try(b.code())
	b.sees("You are signed in")
}

func browseChange(t *testing.T, in browser) {
	address, _ := runDemo(t)
	b := newTab(t, in, address, wide, false)
	b.start("+1 415 555 0134")
	old := b.code()
	b.click("form[action='/change'] button")
	b.wait(`document.activeElement.id === "to"`)
	b.sees("DELETE /v1/verifications/")
	if typed := js[string](b, `document.getElementById("to").value`); typed != "+1 415 555 0134" {
		t.Errorf("the number to change is %q", typed)
	}
	js[chromedp.Void](b, `document.getElementById("to").value = ""`)
	b.start("+1 415 555 0135")
	b.wait(`document.getElementById("phone-title").textContent.includes("+14155550135")`)
	if code := b.code(); code != old { // the phone is another one
		b.try(old)
		b.sees("That is not the code.")
	}
	b.click("form[action='/restart'] button")
	b.wait(`document.activeElement.id === "to" && document.getElementById("to").value === ""`)
	b.sees("Nothing was asked yet.")
	// A number that opted out: the app shows the service's advice.
	b.click("[data-fill='+1 500 555 0004']")
	b.click("form[action='/start'] .main")
	b.sees("This number has opted out of our texts.")
	if described := js[string](b, `document.getElementById("to").getAttribute("aria-describedby")`); !strings.Contains(described, "fault") {
		t.Errorf("the field is described by %q, not by the error", described)
	}
	b.screenshot("7 refused wide")
}

func browseKeyboard(t *testing.T, in browser) {
	address, _ := runDemo(t)
	b := newTab(t, in, address, wide, false)
	tabTo := func(id string) {
		t.Helper()
		var seen []string
		for range 20 {
			b.press(kb.Tab)
			if seen = append(seen, b.focused()); slices.Contains(seen, id) {
				break
			}
		}
		if b.focused() != id {
			t.Fatalf("the Tab key never reaches %q; it visits %q", id, seen)
		}
		outline := js[string](b, `getComputedStyle(document.activeElement).outlineStyle`)
		if outline == "none" {
			t.Errorf("%q does not show that it has the focus", id)
		}
	}
	tabTo("to")
	b.press("+1 415 555 0134")
	b.press(kb.Enter)
	b.wait(`document.activeElement.id === "code"`)
	b.press(wrong(b.code()))
	b.press(kb.Enter)
	b.sees("You have 4 tries left.")
	b.wait(`document.activeElement.id === "code"`)
	b.press(b.code())
	b.press(kb.Enter)
	b.wait(`document.activeElement.id === "panel-title"`)
	b.sees("You are signed in")
	b.press(kb.Tab)
	b.press(kb.Enter) // Start over
	b.wait(`document.activeElement.id === "to"`)
	// The phone's button types the code.
	b.press("+1 415 555 0136")
	b.press(kb.Enter)
	b.wait(`document.activeElement.id === "code"`)
	code := b.code()
	b.do(chromedp.Focus(chromedp.CSS(".fill")))
	b.press(kb.Enter)
	b.wait(fmt.Sprintf(`document.activeElement.id === "code" && document.activeElement.value === %q`, code))
}

func browseNarrow(t *testing.T, in browser) {
	for _, scheme := range []string{"light", "dark"} {
		address, _ := runDemo(t)
		b := newTab(t, in, address, 360, scheme == "dark")
		fits := func(step string) {
			t.Helper()
			if over := js[[]string](b, `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + .5 && !e.closest(".unseen")).map(e => e.outerHTML.slice(0, 80))`); len(over) > 0 {
				t.Errorf("%s, %s: too wide for 360 pixels: %q", scheme, step, over)
			}
			if js[int](b, `document.documentElement.scrollWidth`) > 360 {
				t.Errorf("%s, %s: the page scrolls sideways", scheme, step)
			}
			if background := js[string](b, `getComputedStyle(document.body).backgroundColor`); (background == "rgb(17, 22, 29)") != (scheme == "dark") {
				t.Errorf("%s, %s: the background is %s", scheme, step, background)
			}
			b.screenshot("8 narrow " + scheme + " " + step)
		}
		fits("number")
		b.start("+1 415 555 0134")
		code := b.code()
		b.wait(`!!document.querySelector("#log .steps .delivered")`)
		fits("code")
		b.try(wrong(code))
		fits("wrong")
		b.try(code)
		b.sees("You are signed in")
		fits("done")
	}
}

// browseReaders holds what a screen reader needs at every step.
func browseReaders(t *testing.T, in browser) {
	address, _ := runDemo(t)
	b := newTab(t, in, address, wide, false)
	check := func(step string) {
		t.Helper()
		for what, expression := range map[string]string{
			"fields without a label":            `[...document.querySelectorAll("input, select")].filter(e => e.labels.length === 0)`,
			"buttons without a name":            `[...document.querySelectorAll("button")].filter(e => !(e.getAttribute("aria-label") || e.textContent.trim()))`,
			"references to nothing":             `[...document.querySelectorAll("[aria-describedby], [aria-labelledby]")].filter(e => ((e.getAttribute("aria-describedby") || "") + " " + (e.getAttribute("aria-labelledby") || "")).trim().split(/\s+/).some(id => !document.getElementById(id)))`,
			"ids that stand twice":              `[...document.querySelectorAll("[id]")].filter(e => document.querySelectorAll("#" + CSS.escape(e.id)).length > 1)`,
			"styles or scripts inside the page": `[...document.querySelectorAll("[style], style, script:not([src]), [onclick], [onsubmit]")]`,
			"headings that skip a level":        `[...document.querySelectorAll("h1, h2, h3, h4")].filter((e, i, all) => i > 0 && e.tagName[1] - all[i - 1].tagName[1] > 1)`,
		} {
			if bad := js[[]string](b, expression+`.map(e => e.outerHTML.slice(0, 120))`); len(bad) > 0 {
				t.Errorf("%s: %s: %q", step, what, bad)
			}
		}
		if !js[bool](b, `document.documentElement.lang === "en" && document.querySelector("#news[aria-live=polite]") !== null && document.querySelectorAll("main, h1").length === 2`) {
			t.Errorf("%s: no language, live region, main or h1", step)
		}
	}
	check("number")
	if !js[bool](b, `document.querySelector("#to").autocomplete === "tel" && document.querySelector("#to").type === "tel"`) {
		t.Error("browsers cannot fill the number in")
	}
	b.start("+1 415 555 0134")
	check("code")
	if !js[bool](b, `document.querySelector("#code").autocomplete === "one-time-code" && document.querySelector("#code").inputMode === "numeric"`) {
		t.Error("browsers cannot fill the code in")
	}
	code := b.code()
	// The text is read aloud, its code digit by digit.
	b.wait(fmt.Sprintf(`document.getElementById("news").textContent.includes(%q)`, strings.Join(strings.Split(code, ""), " ")))
	b.try(wrong(code))
	check("wrong code")
	if title := js[string](b, `document.title`); !strings.HasPrefix(title, "Error: ") {
		t.Errorf("the title after an error is %q", title)
	}
	b.try(code)
	b.sees("You are signed in")
	check("done")
}

// browseTabs shows that a second tab of the same browser follows the first one
// and is not disturbed in what is typed there.
func browseTabs(t *testing.T, in browser) {
	address, _ := runDemo(t)
	first := newTab(t, in, address, wide, false)
	ctx, closeTab := chromedp.NewContext(first.ctx)
	defer closeTab()
	second := &tab{t: t, ctx: ctx, url: address}
	second.do(chromedp.Navigate(address))
	first.start("+1 415 555 0134")
	second.sees("Type the code")
	second.typeInto("#code", "123")
	second.wait(`!!document.querySelector("#log .steps .delivered")`)
	if typed := js[string](second, `document.getElementById("code").value`); typed != "123" {
		t.Errorf("what was typed became %q", typed)
	}
	first.try(first.code())
	second.sees("You are signed in")
}

// browseHostile has a text with markup in it arrive: it is shown, not run.
func browseHostile(t *testing.T, in browser) {
	address, _ := runDemo(t)
	b := newTab(t, in, address, wide, false)
	b.start("+1 415 555 0134")
	body := `<img src=x onerror="document.title='run'"><script>document.title='run'</script> & "quotes" 999888`
	sendText(t, address, "+14155550134", body)
	b.sees(body)
	if title := js[string](b, `document.title`); title == "run" {
		t.Error("the text was run")
	}
	if n := js[int](b, `document.querySelectorAll("#texts img, #texts script").length`); n != 0 {
		t.Errorf("%d elements came out of a text", n)
	}
}

// browseGone ends the demo under an open page.
func browseGone(t *testing.T, in browser) {
	address, stop := runDemo(t)
	b := newTab(t, in, address, wide, false)
	b.sees("live")
	if err := stop(); err != nil {
		t.Errorf("the demo ended with %v", err)
	}
	b.sees("connection lost")
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = slices.DeleteFunc(b.faults, func(f string) bool { return strings.Contains(f, "net::ERR_") })
}
