package page_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
)

// longest is how long a task of the page may take in milliseconds. A longer one is felt.
const longest = 100

// A page of a hub with a million events, which grows by thousands a second, stays smooth. A task
// that is long because the machine is busy is not long each time, so a step may be repeated.
func TestAMillionEventsLeaveThePageSmooth(t *testing.T) {
	server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 16}}, MaxMemory: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString(""), "events", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = producer.Close(context.WithoutCancel(t.Context())) })
	send := func(n int) {
		for i := range n {
			e := &eventhubs.Event{Body: fmt.Appendf(nil, `{"order": %d, "total": 12.50}`, i), Properties: map[string]any{"type": "created"}}
			if err := producer.Enqueue(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		if err := producer.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	published := time.Now()
	send(1_000_000)
	t.Logf("a million events were published in %v", time.Since(published))
	w := openTabOf(t, server, "")
	w.until(t, `document.querySelectorAll("#list tr").length === 50 && document.getElementById("found").textContent === "The newest 50 of 1,000,000"`)
	total := 1_000_000
	arrive := func(n int) {
		send(n)
		total += n
		w.until(t, fmt.Sprintf(`document.getElementById("total-events").textContent === Number(%d).toLocaleString("en")`, total))
	}
	grow := func() {
		for _, rows := range []int{100, 200, 500} {
			w.do(t, chromedp.Click("#more"))
			w.until(t, fmt.Sprintf(`document.querySelectorAll("#list tr").length === %d`, rows))
		}
	}
	begin := func() {
		for _, field := range []string{"#text", "#partition", "#from"} {
			w.put(t, field, "")
		}
		w.until(t, `document.getElementById("found").textContent.startsWith("The newest 50 of") && document.querySelectorAll("#list tr").length === 50`)
		w.settle(t)
	}
	steps := map[string]func(){
		"20,000 events come": func() { arrive(20_000) },
		"the list grows to 500": func() {
			grow()
			w.do(t, chromedp.Evaluate[chromedp.Void](`document.querySelector(".list").scrollTop = 1e6`))
		},
		"events come to a list of 500": func() {
			grow()
			arrive(2_000)
		},
		"a search finds nothing": func() {
			w.put(t, "#text", "nowhere")
			w.until(t, `document.getElementById("none").textContent === "Nothing found."`)
		},
		"an event opens, from the middle": func() {
			w.put(t, "#from", "sequence")
			w.put(t, "#number", "40000")
			w.until(t, `document.querySelector("#list tr")?.cells[0].textContent === "0 / 40000"`)
			w.do(t, chromedp.Click("#list button"), chromedp.WaitVisible("#event"), chromedp.KeyEvent(kb.ArrowRight))
			w.until(t, `document.getElementById("event-title").textContent === "Event 40,001 of partition 0"`)
			w.do(t, chromedp.KeyEvent(kb.Escape))
		},
	}
	w.do(t, chromedp.Evaluate[chromedp.Void](`window.tasks = [];
		window.observer = new PerformanceObserver(l => tasks.push(...l.getEntries().map(e => Math.round(e.duration))));
		observer.observe({ type: "longtask" })`))
	for round := range 6 {
		for _, name := range slices.Sorted(maps.Keys(steps)) {
			begin()
			w.do(t, chromedp.Evaluate[chromedp.Void](`observer.takeRecords(); tasks.length = 0`))
			steps[name]()
			w.settle(t)
			tasks := eval[[]int](t, w, `tasks.concat(observer.takeRecords().map(e => Math.round(e.duration)))`)
			if len(tasks) == 0 || slices.Max(tasks) <= longest {
				delete(steps, name)
				continue
			}
			t.Logf("round %d: %s: tasks of %v ms", round, name, tasks)
		}
	}
	for name := range steps {
		t.Errorf("%s: in each round a task took more than %d ms", name, longest)
	}
	begin()
	if elements := eval[int](t, w, `document.querySelectorAll("*").length`); elements > 1500 {
		t.Errorf("the page has %d elements", elements)
	}
}

// settle waits until the page has drawn what it has.
func (w *tab) settle(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 0, true))))`, chromedp.EvalAwaitPromise)); err != nil {
		t.Fatal(err)
	}
}
