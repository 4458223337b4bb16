package page_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatordata"
)

func seed(t *testing.T, server *emulator.Server, hub, partition string, events ...emulator.Event) {
	t.Helper()
	if err := server.Seed(hub, partition, events...); err != nil {
		t.Fatal(err)
	}
}

func TestThePageShowsWhatIsThere(t *testing.T) {
	t.Parallel()
	w := openTab(t, &emulator.Options{ThroughputUnits: 2, MaxMemory: 64_000_000, Hubs: []emulator.Hub{{Name: "orders", Partitions: 3, ConsumerGroups: []string{"audit"}}, {Name: "other"}}})
	seed(t, w.server, "orders", "1", emulator.Event{Body: []byte(`{"total": 12345678901234567890}`), PartitionKey: "käse", Properties: map[string]any{"n": int64(7)}})
	seed(t, w.server, "orders", "2", emulator.Event{Body: []byte("one")}, emulator.Event{Body: []byte("two")})
	w.until(t, `document.querySelectorAll("#list tr").length === 3 && document.getElementById("found").textContent === "The newest 3 of 3"`)
	for what, want := range map[string]string{
		`document.getElementById("address").textContent`:                                                               w.server.Addr(),
		`document.getElementById("state-text").textContent`:                                                            "Live",
		`document.getElementById("hub-name").textContent`:                                                              "orders",
		`document.getElementById("hub-about").textContent`:                                                             "3 partitions · keeps what fits in 64.0 MB of memory",
		`document.getElementById("where").textContent`:                                                                 "in memory",
		`document.getElementById("keeping").textContent`:                                                               "Events are in memory, and end with the emulator.",
		`document.getElementById("total-events").textContent`:                                                          "3",
		`[...document.querySelectorAll("#hubs a")].map(a => a.children[1].textContent.split(",")[0]).join()`:           "3 events,0 events",
		`[...document.querySelectorAll("#partitions tr")].map(r => r.cells[2].textContent).join()`:                     "0,1,2",
		`[...document.querySelectorAll("#partitions i")].map(i => i.style.width).join()`:                               "0%,50%,100%",
		`[...document.querySelectorAll("#groups summary")].map(h => h.textContent).join()`:                             "$Default,audit",
		`[...document.querySelectorAll("#list button")].map(b => b.textContent).sort().join()`:                         "1 / 0,2 / 0,2 / 1",
		`[...document.querySelectorAll("#list tr")].map(r => r.cells[4].textContent).sort().join("|")`:                 `one|two|{"total": 12345678901234567890}`,
		`[...document.querySelectorAll("#list tr")].find(r => r.cells[2].textContent === "käse").cells[3].textContent`: "n=7",
		`document.getElementById("in-force").textContent`:                                                              "Throughput units: 2. More than 2 MB or 2000 events a second are refused, and so are more than 50 management calls.",
		`document.getElementById("found").textContent`:                                                                 "The newest 3 of 3",
	} {
		if got := eval[string](t, w, what); got != want {
			t.Errorf("%s is %q, want %q", what, got, want)
		}
	}
	w.do(t, chromedp.Evaluate[chromedp.Void](`location.hash = "hub=other"`))
	w.until(t, `document.querySelectorAll("#list tr").length === 0 && document.getElementById("none").textContent === "No events yet."`)
	w.peaceful(t)
}

func TestThePageIsLive(t *testing.T) {
	t.Parallel()
	w := openTab(t, nil)
	w.until(t, `document.getElementById("none").textContent === "No events yet."`)
	w.do(t, chromedp.Evaluate[chromedp.Void](`window.loaded = true`))
	for i := range 3 {
		seed(t, w.server, "events", "0", emulator.Event{Body: fmt.Appendf(nil, "event %d", i)})
		w.until(t, fmt.Sprintf(`document.querySelector("#list tr")?.cells[4].textContent === "event %d" && document.getElementById("total-events").textContent === "%d"`, i, i+1))
	}
	// On a very busy machine the page looks too seldom to see the rate of one event.
	events := 3
	for begin := time.Now(); !eval[bool](t, w, `/^Events a second, in the last \d+ s: at most [1-9]/.test(document.getElementById("history").getAttribute("aria-label"))`); events++ {
		if time.Since(begin) > 3*patience {
			t.Fatalf("after %d events the chart says %s", events, eval[string](t, w, `document.getElementById("history").getAttribute("aria-label")`))
		}
		seed(t, w.server, "events", "0", emulator.Event{Body: []byte("more")})
		w.until(t, fmt.Sprintf(`document.getElementById("total-events").textContent === "%d"`, events+1))
	}

	producer, err := azeventhubs.NewProducerClientFromConnectionString(w.server.ConnectionString("events"), "", &azeventhubs.ProducerClientOptions{ApplicationID: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := producer.GetEventHubProperties(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	w.until(t, `document.querySelector("#connections tr")?.cells[1].textContent.includes("shop")`)
	_ = producer.Close(t.Context())
	w.until(t, `!document.getElementById("nobody").hidden`)

	w.server.SetHook(func(context.Context, emulator.Operation) emulator.Action { return emulator.Pass() })
	w.until(t, `document.getElementById("in-force").textContent === "A hook decides about each operation."`)
	if !eval[bool](t, w, `window.loaded`) {
		t.Error("the page was loaded again")
	}

	w.do(t, chromedp.Click("#pause"))
	w.until(t, `document.getElementById("state-text").textContent === "Paused"`)
	w.do(t, chromedp.Click("#pause"))
	w.until(t, `document.getElementById("state-text").textContent === "Live"`)
	w.peaceful(t)
	w.http.CloseClientConnections()
	w.http.Listener.Close()
	w.until(t, `document.getElementById("state-text").textContent === "The emulator does not answer"`)
}

func TestLagGoesDownAsAConsumerReads(t *testing.T) {
	t.Parallel()
	w := openTab(t, &emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 2}}})
	for range 5 {
		seed(t, w.server, "events", "1", emulator.Event{Body: []byte("x")})
	}
	consumer, err := azeventhubs.NewConsumerClientFromConnectionString(w.server.ConnectionString("events"), "", "$Default", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close(context.WithoutCancel(t.Context()))
	reader, err := consumer.NewPartitionClient("1", &azeventhubs.PartitionClientOptions{StartPosition: azeventhubs.StartPosition{Earliest: new(true)}, Prefetch: -1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.ReceiveEvents(t.Context(), 2, nil); err != nil {
		t.Fatal(err)
	}
	const group = `[...document.querySelectorAll("#groups tr:first-child > *")].map(c => (c.querySelector("summary") ?? c).textContent).join()`
	w.until(t, group+` === "$Default,1 of 2,1,,3,3"`)
	if _, err := reader.ReceiveEvents(t.Context(), 3, nil); err != nil {
		t.Fatal(err)
	}
	w.until(t, group+` === "$Default,1 of 2,1,,3,0"`)
	_ = reader.Close(t.Context())
	seed(t, w.server, "events", "1", emulator.Event{Body: []byte("x")})
	w.until(t, group+` === "$Default,1 of 2,0,,3,1"`)

	// The chart has been there: 3 behind is at its top, 0 at its bottom.
	w.until(t, `/^Behind, in the last \d+ s: at most 3$/.test(document.querySelector("#groups svg").getAttribute("aria-label"))`)
	heights := strings.Fields(eval[string](t, w, `document.querySelector("#groups .line").getAttribute("d").match(/,[\d.]+/g).map(y => y.slice(1)).join(" ")`))
	if !slices.Contains(heights, "4.0") || !slices.Contains(heights, "54.0") || heights[len(heights)-1] == "54.0" {
		t.Errorf("the chart has the heights %v, want 4.0 for 3 behind, then 54.0 for none, then another", heights)
	}
	w.do(t, chromedp.Click("#groups summary"))
	w.until(t, `document.querySelector("#groups details li")?.textContent === "Partition 1: next 5, behind 1 (no receiver now)"`)
}

// The charts show nothing about times at which the page did not look.
func TestChartsShowOnlyWhatThePageSaw(t *testing.T) {
	t.Parallel()
	w := openTab(t, nil)
	for range 100 {
		seed(t, w.server, "events", "0", emulator.Event{Body: []byte("x")})
	}
	const line = `document.querySelector("#history .line").getAttribute("d")`
	w.until(t, line+` && document.getElementById("total-events").textContent === "100"`)
	first := eval[float64](t, w, `Number(`+line+`.match(/^M([\d.]+)/)[1])`)
	if first < 300 { // of 600: the chart is half a minute wide at least
		t.Errorf("the line begins at %v, before the page was opened", first)
	}
	parts := eval[int](t, w, line+`.match(/M/g).length`) // one, unless the machine is very busy
	w.do(t, chromedp.Click("#pause"))
	w.until(t, `document.getElementById("state-text").textContent === "Paused"`)
	seed(t, w.server, "events", "0", emulator.Event{Body: []byte("unseen")})
	w.do(t, chromedp.Evaluate[chromedp.Void](`window.later = false; setTimeout(() => window.later = true, 6500)`))
	w.until(t, `window.later`)
	w.do(t, chromedp.Click("#pause"))
	w.until(t, `document.getElementById("total-events").textContent === "101" && document.getElementById("rate-events").textContent === "–"`)
	w.until(t, fmt.Sprintf(`document.getElementById("rate-events").textContent !== "–" && %s.match(/M/g).length > %d`, line, parts))
}

func TestThePageSaysWhereEventsAre(t *testing.T) {
	t.Parallel()
	store, err := emulatordata.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	for _, test := range []struct {
		options                emulator.Options
		where, sentence, about string
	}{
		{emulator.Options{Store: store}, "durable", "Events are in the emulator’s store (--data), and are there again after a restart.", "4 partitions · keeps everything"},
		{emulator.Options{Discard: true}, "counts events only", "Events are counted, and none is kept.", "4 partitions · keeps no events"},
		{emulator.Options{MaxMemory: -1}, "in memory", "Events are in memory, and end with the emulator.", "4 partitions · keeps everything"},
	} {
		w := openTab(t, &test.options)
		w.until(t, fmt.Sprintf(`document.getElementById("where").textContent === %q && document.getElementById("keeping").textContent === %q && document.getElementById("hub-about").textContent === %q`,
			test.where, test.sentence, test.about))
		seed(t, w.server, "events", "0", emulator.Event{Body: []byte("x"), EnqueuedTime: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.Local)})
		if test.options.Discard {
			w.until(t, `document.getElementById("total-events").textContent === "1" && document.getElementById("none").checkVisibility() && document.getElementById("none").textContent === "Events are counted, and none is kept."`)
		} else {
			w.until(t, `document.querySelector("#list tr")?.cells[1].textContent === "2026-01-02 03:04:05.006"`) // not today's, so with its date
		}
		if said := eval[bool](t, w, `document.body.innerText.includes("in memory")`); said != (test.where == "in memory") {
			t.Errorf("%s: \"in memory\" is said %v", test.where, said)
		}
	}
}

func TestAHubThatIsCreatedAgainHasItsOwnEvents(t *testing.T) {
	t.Parallel()
	w := openTab(t, nil)
	for _, body := range []string{"of the first hub", "of the second hub"} {
		seed(t, w.server, "events", "0", emulator.Event{Body: []byte(body)})
		w.until(t, fmt.Sprintf(`document.querySelectorAll("#list tr").length === 1 && document.querySelector("#list tr").cells[4].textContent === %q`, body))
		w.do(t, chromedp.Click("#list button"), chromedp.WaitVisible("#event"))
		w.until(t, fmt.Sprintf(`document.getElementById("event-body").textContent === %q`, body))
		w.do(t, chromedp.KeyEvent(kb.Escape))
		if err := w.server.DeleteHub("events"); err != nil {
			t.Fatal(err)
		}
		if body == "of the first hub" { // no look comes between
			if err := w.server.AddHub(emulator.Hub{Name: "events"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.until(t, `document.getElementById("hub-name").textContent === "No hub" && document.getElementById("none").textContent === "There is no hub."`)
	w.peaceful(t)
}

func TestALargeEventDoesNotBreakThePage(t *testing.T) {
	const size = 10 << 20
	w := openTab(t, nil)
	seed(t, w.server, "events", "0",
		emulator.Event{Body: []byte(strings.Repeat("large ", size/6))}, emulator.Event{Body: make([]byte, size)},
		emulator.Event{Body: []byte(`{"large": "` + strings.Repeat("x", size) + `"}`), Properties: map[string]any{"large": strings.Repeat("p", 1<<20)}})
	begin := time.Now()
	w.until(t, `document.querySelectorAll("#list tr").length === 3`)
	t.Logf("three events of 10 MB are listed after %v", time.Since(begin))
	if got := eval[int](t, w, `document.documentElement.outerHTML.length`); got > 50_000 {
		t.Errorf("the page has grown to %d characters", got)
	}
	for i, want := range []string{`{"large": "xxx`, "00 00 00", "large large"} {
		begin := time.Now()
		w.do(t, chromedp.Click(fmt.Sprintf("#list tr:nth-child(%d) button", i+1)), chromedp.WaitVisible("#event"))
		w.until(t, fmt.Sprintf(`document.getElementById("event-body").textContent.startsWith(%q)`, want))
		t.Logf("event %d is open after %v", i, time.Since(begin))
		if got := eval[int](t, w, `document.getElementById("event-body").textContent.length`); got < 1000 || got > 70_000 {
			t.Errorf("event %d: %d characters of the body are shown", i, got)
		}
		if got := eval[string](t, w, `document.getElementById("event-size").textContent`); !strings.Contains(got, "10,485,7") || !strings.Contains(got, "this is the beginning") {
			t.Errorf("event %d: it says of the size: %s", i, got)
		}
		resp, err := http.Get(eval[string](t, w, `document.getElementById("event-download").href`))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, resp.Body); err != nil || n < size-6 || !strings.HasPrefix(resp.Header.Get("Content-Disposition"), "attachment") {
			t.Errorf("event %d: saving brings %d bytes, %v, %v", i, n, err, resp.Header)
		}
		_ = resp.Body.Close()
		w.do(t, chromedp.KeyEvent(kb.Escape))
		w.until(t, `!document.getElementById("event").open`)
	}
	seed(t, w.server, "events", "1", emulator.Event{Body: []byte("small")})
	w.until(t, `document.querySelector("#list tr").cells[4].textContent === "small"`)
	w.peaceful(t)
}

func TestWhatClientsSendIsNeverHTML(t *testing.T) {
	t.Parallel()
	const bad = `<img src="x" onerror="window.harm=1"><script>window.harm=1</script>`
	w := openTab(t, &emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 1}}})
	seed(t, w.server, "events", "0", emulator.Event{
		Body: []byte(bad), PartitionKey: bad, MessageID: bad, ContentType: bad, Properties: map[string]any{bad: bad},
		Annotations: map[string]any{bad: bad},
	})
	w.until(t, `document.querySelectorAll("#list tr").length === 1`)
	w.do(t, chromedp.Click("#list button"), chromedp.WaitVisible("#event"))
	w.until(t, fmt.Sprintf("document.getElementById('event-body').textContent === `%s`", bad))
	if n := eval[int](t, w, `document.querySelectorAll("#list img, #list script, #event img, #event script").length`); n != 0 {
		t.Errorf("%d elements come from an event", n)
	}
	if eval[bool](t, w, `"harm" in window`) {
		t.Error("a script of an event's has run")
	}
	// Even a script that gets in does not run.
	w.do(t, chromedp.Evaluate[chromedp.Void](`document.body.insertAdjacentHTML("beforeend", '<img src="/nothing" onerror="window.harm=1">')`))
	w.until(t, `[...document.images].every(i => i.complete)`)
	if eval[bool](t, w, `"harm" in window`) {
		t.Error("the page's policy lets a handler in HTML run")
	}
}

func TestTheKeyboardIsEnough(t *testing.T) {
	w := openTab(t, &emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 1}}})
	for i := range 30 {
		seed(t, w.server, "events", "0", emulator.Event{Body: fmt.Appendf(nil, "event %d", i), PartitionKey: fmt.Sprintf("key-%d", i%3)})
	}
	w.until(t, `document.querySelectorAll("#list tr").length === 30`)
	// Like a keyboard: no character comes if the page has handled the key.
	slash := input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: "/", Code: "Slash", Text: "/", WindowsVirtualKeyCode: 191}
	if _, err := chromedp.Call(w.ctx, input.DispatchKeyEvent, slash); err != nil {
		t.Fatal(err)
	}
	if got := eval[string](t, w, `document.activeElement.id`); got != "text" {
		t.Fatalf("the slash leads to %q", got)
	}
	w.do(t, chromedp.KeyEvent("KEY-2"))
	w.until(t, `document.getElementById("text").value === "KEY-2"`)
	w.until(t, `document.querySelectorAll("#list tr").length === 10 && document.getElementById("found").textContent === "10 events found among all 30"`)
	w.do(t, chromedp.KeyEvent(kb.ArrowDown))
	if got := eval[string](t, w, `document.activeElement.textContent`); got != "0 / 29" {
		t.Fatalf("the arrow leads from the search to %q", got)
	}
	w.do(t, chromedp.KeyEvent(kb.ArrowUp))
	if got := eval[string](t, w, `document.activeElement.id`); got != "text" {
		t.Errorf("the arrow leads back to %q", got)
	}
	w.do(t, chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Tab))
	if got := eval[string](t, w, `document.activeElement.textContent`); got != "0 / 29" {
		t.Fatalf("behind the search comes %q", got)
	}
	if got := eval[string](t, w, `getComputedStyle(document.activeElement).outlineStyle`); got != "solid" {
		t.Errorf("what has the focus has the outline %q", got)
	}
	w.do(t, chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowUp), chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible("#event"))
	if got := eval[string](t, w, `document.getElementById("event-title").textContent`); got != "Event 26 of partition 0" {
		t.Errorf("open is %q", got)
	}
	for key, want := range map[string]string{kb.ArrowRight: "Event 23 of partition 0", kb.ArrowLeft: "Event 29 of partition 0"} {
		w.do(t, chromedp.KeyEvent(key))
		w.until(t, fmt.Sprintf(`document.getElementById("event-title").textContent === %q`, want))
		w.do(t, chromedp.KeyEvent(map[string]string{kb.ArrowRight: kb.ArrowLeft, kb.ArrowLeft: kb.ArrowRight}[key]))
		w.until(t, `document.getElementById("event-title").textContent === "Event 26 of partition 0"`)
	}
	w.do(t, chromedp.KeyEvent(kb.Escape))
	w.until(t, `!document.getElementById("event").open`)
	// New events arrive; the focused event keeps the focus.
	seed(t, w.server, "events", "0", emulator.Event{Body: []byte("new"), PartitionKey: "key-2"})
	w.until(t, `document.querySelectorAll("#list tr").length === 11`)
	if got := eval[string](t, w, `document.activeElement.textContent`); got != "0 / 26" {
		t.Errorf("the focus is on %q now", got)
	}
	w.peaceful(t)
}

func TestScreenReadersGetNames(t *testing.T) {
	t.Parallel()
	w := openTab(t, nil)
	seed(t, w.server, "events", "0", emulator.Event{Body: []byte("x")})
	producer := newProducer(t, w.server, "events", "shop")
	if _, err := producer.GetEventHubProperties(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	w.until(t, `document.querySelectorAll("#list tr").length === 1 && document.querySelectorAll("#connections tr").length === 1`)
	for _, width := range []int64{1440, 390} { // the rows of a narrow page are blocks to the eye, and still rows
		w.resize(t, width, 900)
		w.settle(t)
		w.wantNames(t, fmt.Sprintf("%d px", width), map[string]int{
			"main": 1, "navigation": 1, "heading": 6, "table": 4, "row": 11, "cell": 25, "columnheader": 26, "rowheader": 5, "searchbox": 1, "status": 1, "button": 5,
		})
	}
}

func TestThePageIsDarkWhereTheSystemIs(t *testing.T) {
	t.Parallel()
	w := openTab(t, nil)
	w.scheme(t, "light")
	const background = `getComputedStyle(document.body).backgroundColor`
	light := eval[string](t, w, background)
	w.scheme(t, "dark")
	if dark := eval[string](t, w, background); dark == light || light != "rgb(246, 246, 243)" {
		t.Errorf("the paper is %s by day, %s by night", light, dark)
	}
}

func TestAThousandPartitions(t *testing.T) {
	w := openTab(t, &emulator.Options{Hubs: []emulator.Hub{{Name: "wide", Partitions: 1000}}})
	for i := range 2000 {
		seed(t, w.server, "wide", fmt.Sprint(i%1000), emulator.Event{Body: []byte("x")})
	}
	w.until(t, `document.querySelectorAll("#partitions tr").length === 1000 && document.querySelectorAll("#list tr").length === 50`)
	seed(t, w.server, "wide", "999", emulator.Event{Body: []byte("y")})
	w.until(t, `document.querySelector("#list tr").cells[4].textContent === "y"`)
}
