package page_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/setup"
)

// audit lets axe-core look at a part of the page. It fails for each of its findings. Of rows that
// are alike, axe-core looks at the first ones. (The page's policy does not hold for scripts that
// come through the debugger.)
func (w *tab) audit(t *testing.T, state, part string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, 3*patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`axe.run({ include: [`+strconv.Quote(part)+`], exclude: ["#list tr:nth-child(n+4)", "#partitions tr:nth-child(n+4)", "#groups li:nth-child(n+3)"] }, { resultTypes: ["violations"] }).then(r => JSON.stringify({
		passed: r.passes.length,
		violations: r.violations.map(v => v.id + ": " + v.help + ": " + v.nodes.map(n => n.target.join(" ") + " " + n.any.concat(n.all, n.none).map(c => c.message).join("; ")).join(" | ")),
	}))`, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	var found struct {
		Passed     int
		Violations []string
	}
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		t.Fatal(err)
	}
	for _, violation := range found.Violations {
		t.Errorf("%s: %s", state, violation)
	}
	if found.Passed < 10 {
		t.Errorf("%s: only %d of axe's rules passed: it did not see the page", state, found.Passed)
	}
}

// axe puts axe-core into the page, for audit.
func (w *tab) axe(t *testing.T) {
	t.Helper()
	installed, err := setup.NPM(t.Context(), "axe", "axe")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join(installed, "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	w.do(t, chromedp.Evaluate[chromedp.Void](string(source)))
}

func TestAxeFindsNothing(t *testing.T) {
	server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: "orders", Partitions: 8, ConsumerGroups: []string{"billing", "search"}}, {Name: "audit"}, {Name: "clicks"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	s := newShop(server)
	s.begin(t)
	w := openTabOf(t, server, "#hub=orders")
	s.work(t, w, 1)
	w.axe(t)
	for _, rule := range []string{"throttle hub=orders share=10%", "delay lasting=1s count=1", "nothing"} {
		w.put(t, "#rule", rule)
		w.do(t, chromedp.Click("#set-fault button"))
		w.until(t, `document.getElementById("rule").value === "" || !document.getElementById("rule-error").hidden`)
	}
	w.do(t, chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("summary").forEach(s => s.click())`))
	w.until(t, `document.querySelectorAll("#groups details li").length > 8 && document.querySelectorAll("#rules li").length === 3`)
	w.do(t, chromedp.Click("#pause")) // nothing moves while axe looks
	for _, size := range [][2]int64{{1440, 900}, {390, 844}} {
		for _, scheme := range []string{"light", "dark"} {
			w.resize(t, size[0], size[1])
			w.scheme(t, scheme)
			w.audit(t, strings.Join([]string{"the page", map[bool]string{true: "narrow", false: "wide"}[size[0] < 500], scheme}, ", "), "html")
			if (size[0] < 500) != (scheme == "dark") {
				continue
			}
			w.do(t, chromedp.Click("#list button"), chromedp.WaitVisible("#event"))
			w.audit(t, "an event, "+scheme, "#event")
			w.do(t, chromedp.KeyEvent(kb.Escape), chromedp.Click("#open-send"), chromedp.WaitVisible("#send"))
			w.do(t, chromedp.Click("#add-property"))
			w.put(t, "#send-to", "key")
			w.put(t, "#send-key", strings.Repeat("k", 129))
			w.put(t, "#send-properties li:last-child .property-name", "n")
			w.do(t, chromedp.Click("#send-now"))
			w.until(t, `!document.getElementById("send-error").hidden`)
			w.audit(t, "the form that sends, "+scheme, "#send")
			w.do(t, chromedp.KeyEvent(kb.Escape))
			w.until(t, `!document.querySelector("dialog[open]")`)
		}
	}
}
