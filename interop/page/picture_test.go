package page_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// A shop makes an emulator look busy: it sends orders, and two groups read them.
type shop struct {
	server  *emulator.Server
	random  *rand.Rand
	readers []*shopReader
}

// A shopReader reads a partition of the orders for a group.
type shopReader struct {
	client    *azeventhubs.PartitionClient
	group     string
	partition string
	next      int // how many it has read
}

func newShop(server *emulator.Server) *shop {
	return &shop{server: server, random: rand.New(rand.NewPCG(1, 2))}
}

// send stores n events, over the last minutes.
func (s *shop) send(t *testing.T, hub string, n int) {
	t.Helper()
	for range n {
		customer := s.random.IntN(40)
		seed(t, s.server, hub, "", emulator.Event{
			Body:         fmt.Appendf(nil, `{"order": %d, "customer": "c-%02d", "total": %d.%02d}`, 10_000+s.random.IntN(90_000), customer, 5+s.random.IntN(200), s.random.IntN(100)),
			PartitionKey: fmt.Sprintf("c-%02d", customer),
			Properties:   map[string]any{"type": []string{"created", "paid", "shipped"}[s.random.IntN(3)], "version": int64(2)},
			ContentType:  "application/json",
		})
	}
}

// begin makes the state before the picture's visitor arrives.
func (s *shop) begin(t *testing.T) {
	t.Helper()
	s.send(t, "orders", 1480)
	s.send(t, "audit", 310)
	s.send(t, "clicks", 3200)
	rule, err := emulator.ParseFaultRule("throttle hub=orders on=transfer every=3")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.server.AddFault(rule); err != nil {
		t.Fatal(err)
	}
	for group, n := range map[string]int{"billing": 1000, "search": 60} {
		s.open(t, group)
		s.read(t, group, n)
	}
}

// work is the traffic during the visit, about a second each round.
func (s *shop) work(t *testing.T, w *tab, rounds int) {
	t.Helper()
	producer, err := azeventhubs.NewProducerClientFromConnectionString(s.server.ConnectionString("orders"), "", &azeventhubs.ProducerClientOptions{
		ApplicationID: "shop", RetryOptions: azeventhubs.RetryOptions{RetryDelay: time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = producer.Close(context.Background()) })
	for i := range rounds {
		s.send(t, "orders", 8+s.random.IntN(10)+i%9)
		s.send(t, "clicks", 4+s.random.IntN(9))
		if err := publishOrder(t.Context(), producer); err != nil {
			t.Fatal(err)
		}
		s.read(t, "search", 7)
		if i < rounds/4 || i > rounds/2 { // billing falls behind, and catches up
			s.read(t, "billing", 9)
		}
		want := s.server.Counts("orders", "").Events
		text := fmt.Sprintf("%d,%03d", want/1000, want%1000)
		w.until(t, fmt.Sprintf(`document.getElementById("total-events").textContent === %q && document.getElementById("found").textContent.endsWith(%q)`, text, text))
	}
}

func publishOrder(ctx context.Context, producer *azeventhubs.ProducerClient) error {
	batch, err := producer.NewEventDataBatch(ctx, &azeventhubs.EventDataBatchOptions{PartitionKey: new("c-07")})
	if err != nil {
		return err
	}
	event := &azeventhubs.EventData{
		Body: []byte(`{"order": 48213, "customer": "c-07", "total": 89.90}`), Properties: map[string]any{"type": "created", "version": int64(2)},
	}
	if err := batch.AddEventData(event, nil); err != nil {
		return err
	}
	return producer.SendEventDataBatch(ctx, batch, nil)
}

// open connects a group to the orders of each partition.
func (s *shop) open(t *testing.T, group string) {
	t.Helper()
	consumer, err := azeventhubs.NewConsumerClientFromConnectionString(s.server.ConnectionString("orders"), "", group, &azeventhubs.ConsumerClientOptions{ApplicationID: group})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = consumer.Close(context.Background()) })
	for _, id := range s.server.PartitionIDs("orders") {
		client, err := consumer.NewPartitionClient(id, &azeventhubs.PartitionClientOptions{
			StartPosition: azeventhubs.StartPosition{Earliest: new(true)}, OwnerLevel: new(int64(1)), Prefetch: -1,
		})
		if err != nil {
			t.Fatal(err)
		}
		s.readers = append(s.readers, &shopReader{client: client, group: group, partition: id})
	}
}

// read receives at most n further orders of each partition for a group.
func (s *shop) read(t *testing.T, group string, n int) {
	t.Helper()
	for _, r := range s.readers {
		wanted := min(n, s.server.Counts("orders", r.partition).Events-r.next)
		if r.group != group || wanted <= 0 {
			continue
		}
		events, err := r.client.ReceiveEvents(t.Context(), wanted, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.next += len(events)
	}
}

// TestPictures takes the pictures for docs/emulator.md. PAGE_SCREENSHOTS names the folder for them.
func TestPictures(t *testing.T) {
	folder := os.Getenv("PAGE_SCREENSHOTS")
	server, err := emulator.New(&emulator.Options{
		Hubs: []emulator.Hub{{Name: "orders", Partitions: 8, ConsumerGroups: []string{"billing", "search"}}, {Name: "audit", Partitions: 4}, {Name: "clicks", Partitions: 32}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	s := newShop(server)
	s.begin(t)
	w := openTabOf(t, server, "#hub=orders")
	rounds := 2
	if folder != "" {
		rounds = 32 // enough to give the lines a shape
	}
	s.work(t, w, rounds)
	take := func(name string, screenshot chromedp.Action[[]byte]) {
		t.Helper()
		shot, err := chromedp.Run(w.ctx, screenshot)
		if err != nil {
			t.Fatal(err)
		}
		shot = smaller(t, shot)
		if len(shot) < 10_000 || len(shot) > 250_000 {
			t.Errorf("the picture %s has %d bytes", name, len(shot))
		}
		if folder != "" {
			if err := os.WriteFile(filepath.Join(folder, name), shot, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	take("emulator-page.png", chromedp.FullScreenshot(100))

	w.resize(t, 900, 700)
	w.do(t, chromedp.Click("#open-send"), chromedp.WaitVisible("#send"), chromedp.Click("#add-property"))
	for field, value := range map[string]string{
		"#send-to": "key", "#send-key": "c-07", "#send-body": `{"order": 48214, "customer": "c-07", "total": 12.50}`, "#send-type": "application/json",
		".property-name": "version", ".property-type": "whole number", ".property-value": "2",
	} {
		w.put(t, field, value)
	}
	w.do(t, chromedp.Click("#send-now"))
	w.until(t, `document.getElementById("send-done").textContent.startsWith("Stored as event ")`)
	take("emulator-page-send.png", chromedp.CaptureScreenshot())

	w.do(t, chromedp.KeyEvent(kb.Escape))
	w.scheme(t, "dark")
	w.resize(t, 390, 1500)
	for _, hub := range []string{"audit", "orders"} { // a link that is followed comes into sight
		w.do(t, chromedp.Evaluate[chromedp.Void](`location.hash = "hub=`+hub+`"`))
		w.until(t, fmt.Sprintf(`document.getElementById("hub-name").textContent === %q && document.querySelectorAll("#list tr").length === 50`, hub))
	}
	w.until(t, `document.getElementById("state-text").textContent === "Live" && document.documentElement.scrollWidth === 390`)
	take("emulator-page-phone.png", chromedp.CaptureScreenshot())
}

// smaller returns a picture with the strongest compression.
func smaller(t *testing.T, picture []byte) []byte {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	paletted := image.NewPaletted(img.Bounds(), frequent(img))
	draw.Draw(paletted, paletted.Bounds(), img, image.Point{}, draw.Src)
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, paletted); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// frequent returns 256 colours: the most frequent ones of a picture, and at least one for each
// region of colours, so that rare colours remain.
func frequent(img image.Image) color.Palette {
	counts := make(map[color.RGBA]int)
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			counts[color.RGBAModel.Convert(img.At(x, y)).(color.RGBA)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(counts), func(a, b color.RGBA) int { return counts[b] - counts[a] })
	seen := make(map[color.RGBA]bool)
	var first, more color.Palette
	for _, c := range colours {
		region := color.RGBA{c.R >> 5, c.G >> 5, c.B >> 5, 0}
		if seen[region] {
			more = append(more, c)
			continue
		}
		seen[region] = true
		first = append(first, c)
	}
	all := append(first, more...)
	return all[:min(len(all), 256)]
}
