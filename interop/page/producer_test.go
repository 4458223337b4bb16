package page_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/producerhttp"
)

// openProducerTab opens a tab at the page of producers, below a prefix. It ends with the test.
func openProducerTab(t *testing.T, page http.Handler) *tab {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/debug/eventhubs/", page)
	w := &tab{http: httptest.NewServer(mux)}
	t.Cleanup(w.http.Close)
	w.ctx = newTab(t, w.hear)
	if _, err := chromedp.Call(w.ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	w.resize(t, 1440, 1000)
	w.do(t, chromedp.Navigate(w.http.URL+"/debug/eventhubs/"))
	return w
}

// publishedBy makes a producer of a hub with two partitions, and a way to throttle partition 1.
func publishedBy(t *testing.T, journal *eventhubs.JournalOptions) (producer *eventhubs.BufferedProducer, throttle func(bool)) {
	t.Helper()
	server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: "orders", Partitions: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	producer, err = eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("orders"), "", &eventhubs.Options{
		MaxWaitTime: eventhubs.SendAtOnce, Logger: slog.New(slog.DiscardHandler), Journal: journal,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := producer.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return producer, func(busy bool) {
		server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
			if busy && op.Kind == emulator.KindTransfer && op.PartitionID == "1" {
				return emulator.Reject("com.microsoft:server-busy", "<i>busy</i>: please wait 1 seconds and try again.")
			}
			return emulator.Pass()
		})
	}
}

func publishOne(t *testing.T, producer *eventhubs.BufferedProducer, partition string) {
	t.Helper()
	if err := producer.Enqueue(t.Context(), &eventhubs.Event{Body: []byte("secret-of-the-event"), PartitionID: partition}); err != nil {
		t.Fatal(err)
	}
}

func TestTheProducersPageIsLive(t *testing.T) {
	t.Parallel()
	producer, throttle := publishedBy(t, nil)
	w := openProducerTab(t, producerhttp.New(producer, nil))
	w.do(t, chromedp.Evaluate[chromedp.Void](`window.loaded = true`), chromedp.Focus("#pause"))
	const (
		badge = `document.querySelector(".badge").textContent`
		cells = `[...document.querySelectorAll(".partitions tbody tr:not(.more)")].map(r => [...r.cells].slice(0, 2).map(c => c.textContent).join(" ")).join()`
	)
	w.until(t, badge+` === "connecting" && document.getElementById("live-text").textContent === "Live" && !document.getElementById("live").hidden`)
	publishOne(t, producer, "0")
	publishOne(t, producer, "1")
	w.until(t, badge+`.startsWith("ready for ") && `+cells+` === "0 ready,1 ready"`)

	throttle(true)
	publishOne(t, producer, "1")
	w.until(t, badge+`.startsWith("throttled for ") && `+cells+` === "0 ready,1 throttled"`)
	w.until(t, `document.querySelector(".more p").textContent.includes("ago: com.microsoft:server-busy: <i>busy</i>") && document.querySelectorAll("main i:not(.line, .other)").length === 0`)
	w.until(t, `document.querySelectorAll(".changes li").length === 2 && document.querySelector(".changes strong").textContent === "throttled"`)
	w.axe(t)
	w.do(t, chromedp.Click("#pause")) // nothing moves while axe looks
	for _, width := range []int64{390, 1440} {
		for _, scheme := range []string{"dark", "light"} {
			w.resize(t, width, 1000)
			w.scheme(t, scheme)
			w.audit(t, fmt.Sprintf("%d px, %s", width, scheme), "html")
			if got := eval[bool](t, w, `document.documentElement.scrollWidth <= innerWidth`); !got {
				t.Errorf("at %d px the page is wider than the window", width)
			}
			if got, dark := eval[string](t, w, `getComputedStyle(document.body).backgroundColor`), scheme == "dark"; dark != (got == "rgb(21, 23, 27)") {
				t.Errorf("in a %s system the paper is %s", scheme, got)
			}
			inWindow := `(r => r.left >= 0 && r.right <= innerWidth)(document.querySelector(".more p").getBoundingClientRect())`
			if !eval[bool](t, w, inWindow) {
				t.Errorf("at %d px the error of a partition is not in the window", width)
			}
		}
	}

	w.do(t, chromedp.Click("#pause"))
	throttle(false)
	w.until(t, badge+`.startsWith("ready for ") && document.querySelectorAll(".changes li").length === 3`)
	if got := eval[string](t, w, `document.activeElement.id`); got != "pause" || !eval[bool](t, w, `window.loaded`) {
		t.Errorf("the focus is on %q, want pause: the page was made again", got)
	}
	if text := eval[string](t, w, `document.documentElement.outerHTML`); strings.Contains(text, "secret-of-the-event") {
		t.Error("the page shows the body of an event")
	}
	w.do(t, chromedp.Click("#pause"))
	w.until(t, `document.getElementById("live-text").textContent === "Paused" && document.getElementById("pause").getAttribute("aria-pressed") === "true"`)
	w.do(t, chromedp.Click("#pause"))
	w.until(t, `document.getElementById("live-text").textContent === "Live"`)
	w.peaceful(t)
	w.http.CloseClientConnections()
	w.http.Listener.Close()
	w.until(t, `document.getElementById("live-text").textContent === "The service does not answer"`)
}

// TestPictureOfTheProducersPage takes the picture for docs/operations.md, if PRODUCERS_SCREENSHOT
// names a file. PRODUCERS_PAGE is the address of a producer of examples/debugpage, in a minute with
// troubles.
func TestPictureOfTheProducersPage(t *testing.T) {
	file, address := os.Getenv("PRODUCERS_SCREENSHOT"), os.Getenv("PRODUCERS_PAGE")
	if file == "" {
		t.Skip("PRODUCERS_SCREENSHOT names no file: there is no picture to take")
	}
	w := openProducerTab(t, producerhttp.New(nil, nil))
	w.resize(t, 1280, 1320)
	w.do(t, chromedp.Navigate(address))
	w.until(t, `document.querySelector(".producer .badge.bad")`)
	shot, err := chromedp.Run(w.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, smaller(t, shot), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTheProducersPageHasNamesForScreenReaders(t *testing.T) {
	t.Parallel()
	page := producerhttp.New(nil, nil)
	for i, journal := range []*eventhubs.JournalOptions{nil, {Directory: t.TempDir()}} {
		producer, _ := publishedBy(t, journal)
		publishOne(t, producer, "0")
		if err := producer.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := page.Add(fmt.Sprintf("producer %d", i), producer); err != nil {
			t.Fatal(err)
		}
	}
	w := openProducerTab(t, page)
	w.until(t, `document.querySelectorAll(".producer table").length === 4 && document.querySelectorAll("nav a").length === 3`)
	w.wantNames(t, "two producers", map[string]int{"main": 1, "navigation": 1, "heading": 10, "table": 4, "columnheader": 20, "rowheader": 20, "status": 1, "button": 1, "region": 4})
	w.do(t, chromedp.Click(`nav li:nth-child(3) a`))
	w.until(t, `document.querySelectorAll(".producer").length === 1 && document.querySelector("h2").textContent === "producer 1" && document.title.startsWith("producer 1")`)
	w.peaceful(t)
}
