package page_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/chromedp/chromedp"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// A fault that the page sets is what Microsoft's client meets, until the page clears it.
func TestAFaultOnThePageIsWhatAClientMeets(t *testing.T) {
	t.Parallel()
	w := openTab(t, nil)
	producer := newProducer(t, w.server, "events", "shop")
	send := func() error {
		return publish(t.Context(), producer, "0", &azeventhubs.EventData{Body: []byte("x")})
	}
	if err := send(); err != nil {
		t.Fatal(err)
	}
	w.do(t, chromedp.WaitVisible("#rule"), chromedp.SendKeys("#rule", "throttle hub=nothing\r"))
	w.until(t, `document.getElementById("rule-error").textContent.includes("there is no such hub: create it first") && document.getElementById("rule").hasAttribute("aria-invalid")`)
	w.put(t, "#rule", "")
	w.do(t, chromedp.SendKeys("#rule", "reject condition=amqp:not-allowed hub=events on=transfer count=2\r"))
	w.until(t, `document.getElementById("rules").textContent === "reject hub=events condition=amqp:not-allowed count=20 hits, 2 to comeClear" && document.getElementById("rule-error").hidden`)
	if err := send(); err == nil || !strings.Contains(err.Error(), "amqp:not-allowed") {
		t.Errorf("with the fault the client gets %v, want amqp:not-allowed", err)
	}
	w.until(t, `document.querySelector("#rules span").textContent === "1 hit, 1 to come" && document.querySelector("#faults tr").textContent.startsWith("reject amqp:not-allowedtransfer, events1")`)
	w.do(t, chromedp.Click("#rules button"))
	w.until(t, `document.getElementById("rules").children.length === 0`)
	if err := send(); err != nil {
		t.Errorf("after the fault was cleared the client gets %v", err)
	}
	if n := w.server.Counts("events", "").Events; n != 2 {
		t.Errorf("%d events are stored, want the two that were not refused", n)
	}
}

// Each example is a rule that the server takes as it stands.
func TestTheExamplesOfRulesAreTaken(t *testing.T) {
	t.Parallel()
	w := openTab(t, &emulator.Options{Hubs: []emulator.Hub{{Name: "orders"}}})
	w.until(t, `document.getElementById("hub-name").textContent === "orders"`)
	n := eval[int](t, w, `document.querySelectorAll("#examples button").length`)
	if n < 5 {
		t.Fatalf("there are %d examples", n)
	}
	for i := range n {
		w.do(t, chromedp.Click(fmt.Sprintf("#examples li:nth-child(%d) button", i+1)), chromedp.KeyEvent("\r"))
		w.until(t, fmt.Sprintf(`document.getElementById("rules").children.length === %d`, i+1))
	}
	for _, f := range w.server.Faults() {
		if !strings.Contains(f.Rule.String(), "hub=orders") {
			t.Errorf("%q is not for the hub that is shown", f.Rule)
		}
	}
	w.do(t, chromedp.Click("#clear-faults"))
	w.until(t, `document.getElementById("rules").children.length === 0 && document.getElementById("in-force").textContent === "None. Everything works as it should."`)
	if faults := w.server.Faults(); len(faults) != 0 {
		t.Errorf("the server still has the faults %v", faults)
	}
	w.peaceful(t)
}
