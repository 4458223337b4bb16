package eventhubs

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
)

const (
	testKey        = "c2VjcmV0LXNlY3JldA=="
	emulatorString = "Endpoint=sb://127.0.0.1:9;SharedAccessKeyName=name;SharedAccessKey=" + testKey + ";UseDevelopmentEmulator=true"
)

func event(body string) *Event { return &Event{Body: []byte(body)} }

// With returns an event with the route, ExpiresAt, Delivery and Tag of another event. A nil event
// has none of them.
func With(e, o *Event) *Event {
	if o == nil {
		return e
	}
	out := *e
	out.PartitionID, out.PartitionKey = cmp.Or(o.PartitionID, e.PartitionID), cmp.Or(o.PartitionKey, e.PartitionKey)
	out.ExpiresAt, out.Delivery, out.Tag = o.ExpiresAt, o.Delivery, o.Tag
	return &out
}

// enqueue fails the test if the producer refuses an event.
func enqueue(t *testing.T, p *BufferedProducer, partition string, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		if err := p.Enqueue(t.Context(), &Event{Body: []byte(body), PartitionID: partition}); err != nil {
			t.Errorf("Enqueue(%q): %v", body, err)
		}
	}
}

// outcomes records what the handlers get.
type outcomes struct {
	mu   sync.Mutex
	told []told
}

type told struct {
	partition string
	bodies    []string
	outcome   Outcome
	at        time.Duration
}

func (o *outcomes) handle(_ context.Context, b *Batch) {
	t := told{partition: b.PartitionID, outcome: b.Outcome, at: scripted.Now()}
	for e := range b.Events() {
		t.bodies = append(t.bodies, string(e.Body))
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = append(o.told, t)
}

func (o *outcomes) all() []told {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.told)
}

// wantFailed checks how many events a Flush or Close reports as not stored.
func wantFailed(t *testing.T, what string, err error, want int) {
	t.Helper()
	got := 0
	if undelivered, ok := errors.AsType[*UndeliveredError](err); ok {
		got = undelivered.Failed()
	}
	if got != want || (err == nil) != (want == 0) {
		t.Errorf("%s returned %v, want %d failed", what, err, want)
	}
}

// mustNewProducer is newProducer without an error.
func mustNewProducer(tb testing.TB, namespace string, h hub, o Options) *BufferedProducer {
	tb.Helper()
	p, err := newProducer(namespace, "hub", h, o)
	if err != nil {
		tb.Fatal(err)
	}
	p.journal.begin()
	return p
}

// producerOn returns a producer for a hub without a connection. It is closed when the test ends,
// unless the test closes it first. It logs nothing without a Logger.
func producerOn(t *testing.T, h hub, options Options) *BufferedProducer {
	t.Helper()
	o, err := options.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	o.Logger = cmp.Or(o.Logger, scripted.Unlogged)
	p := mustNewProducer(t, "test.example", h, o)
	t.Cleanup(func() {
		if !p.IsClosed() {
			_ = p.Close(context.Background())
		}
	})
	return p
}

// producerOver is producerOn for a scripted hub.
func producerOver(p *scripted.Hub, options Options) *BufferedProducer {
	p.T.Helper()
	return producerOn(p.T, seamHub{p}, options)
}

// connectedOver returns a producer that knows its partitions.
func connectedOver(p *scripted.Hub, options Options) *BufferedProducer {
	p.T.Helper()
	producer := producerOver(p, options)
	if err := producer.Connect(p.T.Context(), nil); err != nil {
		p.T.Fatal(err)
	}
	return producer
}

// numberedOver returns an idempotent producer that retries at once.
func numberedOver(n *scripted.NumberedHub, options Options) *BufferedProducer {
	n.T.Helper()
	options.EnableIdempotentRetries, options.Retry.RetryDelay = true, -1
	return producerOn(n.T, seamHub{n}, options)
}
