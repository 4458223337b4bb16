package page_test

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatorhttp"
)

// put puts a value into a field, as if a person had chosen or typed it.
func (w *tab) put(t *testing.T, field, value string) {
	t.Helper()
	w.do(t, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`{ const e = document.querySelector(%q); e.value = %q; for (const n of ["input", "change"]) e.dispatchEvent(new Event(n, { bubbles: true })) }`, field, value)))
}

func TestAnEventSentOnThePageReachesAConsumer(t *testing.T) {
	t.Parallel()
	w := openTab(t, &emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 3}}})
	w.until(t, `!document.getElementById("open-send").hidden`)
	w.do(t, chromedp.Click("#open-send"), chromedp.WaitVisible("#send"))

	// By a key, with properties of each type.
	w.put(t, "#send-to", "key")
	w.do(t, chromedp.SendKeys("#send-key", "c-07"), chromedp.SendKeys("#send-body", `{"käse": 1.50}`), chromedp.SendKeys("#send-type", "application/json"), chromedp.SendKeys("#send-id", "m-1"))
	for i, property := range [][3]string{{"a text", "text", "7"}, {"long", "whole number", "-9223372036854775808"}, {"double", "number", "7"}, {"flag", "true or false", "true"}} {
		w.do(t, chromedp.Click("#add-property"))
		item := fmt.Sprintf("#send-properties li:nth-child(%d) ", i+1)
		w.put(t, item+".property-name", property[0])
		w.put(t, item+".property-type", property[1])
		w.put(t, item+".property-value", property[2])
	}
	w.do(t, chromedp.Click("#send-now"))
	w.until(t, `/^Stored as event 0 of partition \d\.$/.test(document.getElementById("send-done").textContent)`)
	partition := eval[string](t, w, `document.getElementById("send-done").textContent.match(/partition (\d)/)[1]`)
	got := receive(t, w.server, "events", partition, fromSequence(0), 1)[0]
	if string(got.Body) != `{"käse": 1.50}` || got.PartitionKey == nil || *got.PartitionKey != "c-07" || *got.ContentType != "application/json" || *got.MessageID != "m-1" {
		t.Errorf("the consumer gets %+v", got)
	}
	want := map[string]any{"a text": "7", "long": int64(math.MinInt64), "double": 7.0, "flag": true}
	if !reflect.DeepEqual(got.Properties, want) {
		t.Errorf("the consumer gets the properties %#v, want %#v", got.Properties, want)
	}
	w.until(t, `document.querySelector("#list tr")?.cells[2].textContent === "c-07"`)

	// An error says what is wrong, and nothing is stored.
	w.put(t, "#send-properties li:nth-child(2) .property-value", "seven")
	w.do(t, chromedp.Click("#send-now"))
	w.until(t, `document.getElementById("send-error").textContent === "the property long is “seven”: want a whole number"`)
	w.put(t, "#send-properties li:nth-child(2) .property-value", "9223372036854775808")
	w.do(t, chromedp.Click("#send-now"))
	w.until(t, `document.getElementById("send-error").textContent.includes("the property long is 9223372036854775808: want")`)
	if n := w.server.Counts("events", "").Events; n != 1 {
		t.Fatalf("%d events are stored, want the first", n)
	}

	// To a partition, bytes, without properties; Ctrl+Enter sends.
	w.do(t, chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("#send-properties button").forEach(b => b.click())`))
	w.put(t, "#send-to", "2")
	w.put(t, "#send-form", "bodyBase64")
	w.put(t, "#send-body", "AP8=")
	before := int64(w.server.Counts("events", "2").Events)
	w.do(t, chromedp.Evaluate[chromedp.Void](`document.getElementById("send-body").dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", ctrlKey: true, bubbles: true, cancelable: true }))`))
	w.until(t, fmt.Sprintf(`document.getElementById("send-done").textContent === "Stored as event %d of partition 2."`, before))
	if got := receive(t, w.server, "events", "2", fromSequence(before), 1)[0]; !bytes.Equal(got.Body, []byte{0, 0xff}) || got.PartitionKey != nil || len(got.Properties) != 0 {
		t.Errorf("the consumer gets %+v, want the bytes 00 ff alone", got)
	}
	if err := w.server.SetDisabled("events", true); err != nil {
		t.Fatal(err)
	}
	w.do(t, chromedp.Click("#send-now"))
	w.until(t, `document.getElementById("send-error").textContent === "hub events is disabled: enable it before you send"`)
}

func TestAReadOnlyPageHasNoForms(t *testing.T) {
	t.Parallel()
	server, err := emulator.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	rule, err := emulator.ParseFaultRule("throttle hub=events")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := server.AddFault(rule); err != nil {
			t.Fatal(err)
		}
	}
	w := openTabWith(t, server, &emulatorhttp.Options{ReadOnly: true}, "")
	w.until(t, `document.querySelectorAll("#rules li").length === 2`)
	for _, id := range []string{"#open-send", "#set-fault", "#examples", "#clear-faults", "#rules button"} {
		if eval[bool](t, w, fmt.Sprintf(`document.querySelector(%q).checkVisibility()`, id)) {
			t.Errorf("%s is shown on a page that may change nothing", id)
		}
	}
}
