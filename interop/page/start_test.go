package page_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/chromedp/chromedp"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// bodies are the bodies of the list, from the top.
const bodies = `[...document.querySelectorAll("#list tr")].map(r => r.cells[4].textContent).join(" ")`

// From any start the page shows what Microsoft's client reads from there.
func TestEventsAreReadFromAStart(t *testing.T) {
	t.Parallel()
	w := openTab(t, &emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 2}}})
	begin := time.Now().UTC().Truncate(time.Minute).Add(-time.Hour)
	for i := range 120 {
		seed(t, w.server, "events", "1", emulator.Event{Body: fmt.Append(nil, i), EnqueuedTime: begin.Add(time.Duration(i) * time.Second)})
	}
	seed(t, w.server, "events", "0", emulator.Event{Body: []byte("other"), EnqueuedTime: begin.Add(70500 * time.Millisecond)})
	w.until(t, `document.querySelectorAll("#list tr").length === 50 && document.getElementById("found").textContent === "The newest 50 of 121"`)
	read := func(start azeventhubs.StartPosition, n int) string {
		var all []string
		for _, e := range receive(t, w.server, "events", "1", start, n) {
			all = append(all, string(e.Body))
		}
		return strings.Join(all, " ")
	}

	w.put(t, "#from", "sequence")
	w.until(t, `document.getElementById("partition").value === "0" && document.getElementById("number").checkVisibility()`) // a number is a place in one partition
	w.put(t, "#partition", "1")
	w.put(t, "#number", "7")
	w.until(t, fmt.Sprintf(`%s === %q`, bodies, read(fromSequence(7), 50)))
	if got := eval[string](t, w, `document.getElementById("found").textContent`); got != "50 events, oldest first" {
		t.Errorf("below the list stands %q", got)
	}
	w.do(t, chromedp.Click("#more"))
	w.until(t, fmt.Sprintf(`%s === %q`, bodies, read(fromSequence(7), 100)))

	e, _ := w.server.Event("events", "1", 115)
	w.put(t, "#from", "offset")
	w.put(t, "#number", e.Offset)
	w.until(t, fmt.Sprintf(`%s === %q`, bodies, read(azeventhubs.StartPosition{Offset: &e.Offset, Inclusive: true}, 5)))
	seed(t, w.server, "events", "1", emulator.Event{Body: []byte("new")}) // the end grows as it comes
	w.until(t, bodies+` === "115 116 117 118 119 new" && document.getElementById("found").textContent === "6 events, oldest first, up to the newest"`)
	w.peaceful(t)
	w.put(t, "#number", "x")
	w.until(t, `document.getElementById("none").checkVisibility() && document.getElementById("none").textContent === 'from is "offset:x"; want a whole number from 0, as in offset:41'`)
	if got := eval[string](t, w, `document.getElementById("state-text").textContent`); got != "Live" {
		t.Errorf("after a wrong number the state is %q", got)
	}

	at := begin.Add(100 * time.Second)
	w.put(t, "#from", "time")
	w.put(t, "#time", eval[string](t, w, fmt.Sprintf(`(() => { const d = new Date(%d); return new Date(d - d.getTimezoneOffset() * 60000).toISOString().slice(0, 19) })()`, at.UnixMilli())))
	w.until(t, fmt.Sprintf(`%s === %q`, bodies, read(fromTime(at), 21)))

	w.put(t, "#partition", "")
	w.put(t, "#from", "start")
	w.put(t, "#text", "other")
	w.until(t, bodies+` === "other"`)
	w.put(t, "#text", "")
	w.put(t, "#from", "")
	w.until(t, `document.getElementById("found").textContent === "The newest 50 of 122"`)
}

// A download has the listed events, whole. "eventhubs publish --format events" publishes them
// again.
func TestADownloadIsPublishedAgain(t *testing.T) {
	t.Parallel()
	w := openTab(t, &emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 1}, {Name: "copy", Partitions: 1}}})
	w.until(t, `document.getElementById("hub-name").textContent === "copy"`)
	w.do(t, chromedp.Evaluate[chromedp.Void](`location.hash = "hub=events"`))
	long := strings.Repeat("long ", 50_000)
	err := publish(t.Context(), newProducer(t, w.server, "events", "shop"), "0",
		&azeventhubs.EventData{Body: []byte(long), Properties: map[string]any{"int": int32(7), "long": int64(1) << 60, "text": "ü", "at": time.UnixMilli(1).UTC()}, MessageID: new("m")},
		&azeventhubs.EventData{Body: []byte{0, 0xff}}, &azeventhubs.EventData{Body: []byte("left out")})
	if err != nil {
		t.Fatal(err)
	}
	w.until(t, `document.querySelectorAll("#list tr").length === 3`)
	w.do(t, chromedp.Click("#pause")) // events that come later are not shown, and not downloaded
	w.until(t, `document.getElementById("state-text").textContent === "Paused"`)
	w.put(t, "#from", "sequence")
	w.until(t, `document.querySelector("#list tr").cells[0].textContent === "0 / 0"`)
	seed(t, w.server, "events", "0", emulator.Event{Body: []byte("too late")})
	response, err := http.Get(eval[string](t, w, `document.getElementById("download").href`))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil || response.Header.Get("Content-Disposition") != `attachment; filename="events.ndjson"` || strings.Count(string(text), "\n") != 3 {
		t.Fatalf("the file has %d lines, %v, %v", strings.Count(string(text), "\n"), err, response.Header)
	}
	_ = response.Body.Close()
	file := filepath.Join(t.TempDir(), "events.ndjson")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	again := exec.CommandContext(t.Context(), filepath.Join(buildCommand(t), "eventhubs"), "publish", "--format", "events", "--hub", "copy", file)
	again.Env = append(os.Environ(), "EVENTHUBS_CONNECTION_STRING="+w.server.ConnectionString(""))
	if output, err := again.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	want := receive(t, w.server, "events", "0", fromSequence(0), 3)
	for i, got := range receive(t, w.server, "copy", "0", fromSequence(0), 3) {
		if string(got.Body) != string(want[i].Body) || fmt.Sprint(got.Properties) != fmt.Sprint(want[i].Properties) || fmt.Sprintf("%T", got.Properties["int"]) != fmt.Sprintf("%T", want[i].Properties["int"]) {
			t.Errorf("event %d came back as %d bytes with %v, want %d with %v", i, len(got.Body), got.Properties, len(want[i].Body), want[i].Properties)
		}
	}
}
