package page_test

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// On a phone nothing is out of sight to the right: neither the body of an event nor a bar.
func TestAPhoneShowsEverything(t *testing.T) {
	t.Parallel()
	server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{
		{Name: "orders", Partitions: 8, ConsumerGroups: []string{"billing", "search"}}, {Name: "audit"}, {Name: "clicks"}, {Name: "a-hub-with-a-name-that-is-rather-long"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	s := newShop(server)
	s.begin(t)
	seed(t, server, "orders", "3", emulator.Event{Body: []byte("the body of an event, which is long enough for several lines of a phone, or rather for four of them, since it goes on and on and on, as events do, without an end in sight"),
		PartitionKey: "a-key-that-takes-a-lot-of-room-since-it-is-long-as-keys-may-be", Properties: map[string]any{"a-property": "with a value that is long, too, and would not fit"}})
	w := openTabOf(t, server, "#hub=orders")
	w.resize(t, 390, 844)
	w.do(t, chromedp.Navigate("about:blank"), chromedp.Navigate(w.http.URL+"/#hub=orders"))
	w.until(t, `document.querySelectorAll("#list tr").length === 50 && document.querySelectorAll("#groups .unknown").length === 1`)
	if got := eval[int](t, w, `document.documentElement.scrollWidth`); got != 390 {
		t.Errorf("the page is %d px wide, want 390", got)
	}
	for _, scrolls := range []string{".partitions", ".list", ".groups", "#happened", ".connections"} {
		if got := eval[int](t, w, fmt.Sprintf(`(e => e.scrollWidth - e.clientWidth)(document.querySelector(%q))`, scrolls)); got > 0 {
			t.Errorf("%s hides %d px to the right", scrolls, got)
		}
	}
	// The first columns of a row are above the body, which begins at the left edge.
	const box = `(e => { const b = e.getBoundingClientRect(); return b.left >= 0 && b.right <= 390 && b.width > 300 && b.height > 15 })`
	for _, element := range []string{"#list td.body", "#list tr:nth-child(3) td.body", "#partitions tr:nth-child(5) .bar", "#groups svg.chart", "#history", "#text"} {
		all := fmt.Sprintf(`[...document.querySelectorAll(%q)]`, element)
		if element == "#partitions tr:nth-child(5) .bar" {
			if got := eval[float64](t, w, all+`[0].getBoundingClientRect().width`); got < 300 {
				t.Errorf("a bar is %v px wide", got)
			}
			continue
		}
		if !eval[bool](t, w, all+`.filter(e => e.checkVisibility()).every(`+box+`)`) {
			t.Errorf("%s is not in sight: %s", element, eval[string](t, w, `JSON.stringify(`+all+`[0].getBoundingClientRect())`))
		}
	}
	if !eval[bool](t, w, `(b => b.left >= 0 && b.right <= 390)(document.querySelector("nav [aria-current]").getBoundingClientRect())`) {
		t.Error("the link to the shown hub is out of sight")
	}
	w.do(t, chromedp.Click("#list button"), chromedp.WaitVisible("#event"))
	if got := eval[int](t, w, `document.getElementById("event").scrollWidth`); got > 390 {
		t.Errorf("an open event is %d px wide", got)
	}
	w.peaceful(t)
}
