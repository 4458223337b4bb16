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
	"slices"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/chromedp/chromedp"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// A shop makes an emulator look busy: it sends orders, and two groups read them.
type shop struct {
	server *emulator.Server
	random *rand.Rand
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
	busy := emulator.Reject("com.microsoft:server-busy", "Please wait 4 seconds and try again.")
	transfers := 0
	s.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer {
			if transfers++; transfers%3 == 1 {
				return busy
			}
		}
		return emulator.Pass()
	})
	for group, n := range map[string]int{"billing": 1000, "search": 60} {
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
		s.send(t, "clicks", 8)
		if err := publishOrder(t.Context(), producer); err != nil {
			t.Fatal(err)
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

// read receives some of the orders of each partition for a group, and stays connected.
func (s *shop) read(t *testing.T, group string, n int) {
	t.Helper()
	consumer, err := azeventhubs.NewConsumerClientFromConnectionString(s.server.ConnectionString("orders"), "", group, &azeventhubs.ConsumerClientOptions{ApplicationID: group})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = consumer.Close(context.Background()) })
	for _, id := range s.server.PartitionIDs("orders") {
		reader, err := consumer.NewPartitionClient(id, &azeventhubs.PartitionClientOptions{
			StartPosition: azeventhubs.StartPosition{Earliest: new(true)}, OwnerLevel: new(int64(1)), Prefetch: -1,
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := reader.ReceiveEvents(t.Context(), min(n, s.server.Counts("orders", id).Events), nil); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPicture takes the picture for docs/emulator.md, if PAGE_SCREENSHOT names a file.
func TestPicture(t *testing.T) {
	file := os.Getenv("PAGE_SCREENSHOT")
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
	if file != "" {
		rounds = 25 // enough to give the line a shape
	}
	s.work(t, w, rounds)
	shot, err := chromedp.Run(w.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	shot = smaller(t, shot)
	if len(shot) < 10_000 || len(shot) > 200_000 {
		t.Errorf("the picture has %d bytes", len(shot))
	}
	if file != "" {
		if err := os.WriteFile(file, shot, 0o644); err != nil {
			t.Fatal(err)
		}
	}
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
