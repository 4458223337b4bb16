package eventhubs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/connectionstring"
	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
)

// The parts of the live suite: see live_hub_test.go.

const (
	liveEvents = 300
	liveKeyset = 20
)

func liveOrder(t *testing.T, l *live) { l.order(eventhubs.Options{MaxWaitTime: 20 * time.Millisecond}) }

func liveIdempotentOrder(t *testing.T, l *live) {
	l.order(eventhubs.Options{MaxWaitTime: 20 * time.Millisecond, EnableIdempotentRetries: true})
}

// order publishes events with some keys and reads them back. Each event is stored once, with its
// key. The events of a key are in one partition, in their order.
func (l *live) order(options eventhubs.Options) {
	p := l.producer(options)
	for i := range liveEvents {
		key := fmt.Sprint("key ", i%liveKeyset)
		if err := p.Enqueue(l.context(), eventhubs.With(l.event(fmt.Sprint(i)), &eventhubs.Event{PartitionKey: key})); err != nil {
			l.t.Fatal(err)
		}
	}
	if err := p.Flush(l.context()); err != nil {
		l.t.Fatal(err)
	}
	at, next := map[string]string{}, map[string]int{}
	for partition, events := range l.read(liveEvents) {
		for _, event := range events {
			var n int
			if _, err := fmt.Sscan(string(event.Body), &n); err != nil {
				l.t.Fatal(err)
			}
			key := fmt.Sprint("key ", n%liveKeyset)
			if event.PartitionKey == nil || *event.PartitionKey != key {
				l.t.Errorf("event %d does not carry the key %q", n, key)
			}
			if other, seen := at[key]; seen && other != partition {
				l.t.Errorf("%q is in the partitions %s and %s", key, other, partition)
			}
			at[key] = partition
			if want := next[key]*liveKeyset + n%liveKeyset; n != want {
				l.t.Errorf("%q: event %d where %d should be", key, n, want)
			}
			next[key]++
		}
	}
}

// liveIdentity makes a second producer with the state of the first, as after a restart.
func liveIdentity(t *testing.T, l *live) {
	state := eventhubs.NewFileProducerStore(t.TempDir())
	options := eventhubs.Options{EnableIdempotentRetries: true, ProducerStore: state, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}}
	to := &eventhubs.Event{PartitionID: "0"}
	first := l.producer(options)
	if _, err := first.Publish(l.context(), eventhubs.With(l.event("first"), to)); err != nil {
		t.Fatal(err)
	}
	key := eventhubs.ProducerKey{FullyQualifiedNamespace: first.FullyQualifiedNamespace(), EventHubName: strings.ToLower(first.EventHubName()), PartitionID: "0"}
	before, err := state.Load(l.context(), key)
	if err != nil {
		t.Fatal(err)
	}
	second := l.producer(options)
	if _, err := second.Publish(l.context(), eventhubs.With(l.event("second"), to)); err != nil {
		t.Fatalf("the second life: %v", err)
	}
	after, err := state.Load(l.context(), key)
	if err != nil || after.ID != before.ID || after.Epoch <= before.Epoch {
		t.Errorf("the identity was %+v and is %+v (%v), want the same with a higher epoch", before, after, err)
	}
	_, err = first.Publish(l.context(), eventhubs.With(l.event("too late"), to))
	if e, ok := errors.AsType[*eventhubs.Error](err); !ok || e.Code != eventhubs.CodeFenced {
		t.Errorf("the former life's Publish returned %v, want %s", err, eventhubs.CodeFenced)
	}
	liveAttach(t, l)
}

// liveAttach shows the service's reply to an idempotent producer's attach, which is not documented.
func liveAttach(t *testing.T, l *live) {
	delivered, err := connectionstring.Parse(l.connectionString)
	if err != nil || delivered.Key() == "" {
		t.Logf("the attach was not checked: the connection string has no key")
		return
	}
	conn := connection.New(connection.Config{
		Namespace: delivered.Namespace, Plain: delivered.Emulator,
		Tokens: connection.TokensFromKey(delivered.KeyName, delivered.Key()),
	})
	defer func() { _ = conn.Close(l.context()) }()
	sender := conn.IdempotentSender(l.hub, "0", "live-test")
	if err := sender.Open(l.context()); err != nil {
		t.Fatal(err)
	}
	fresh, attaches := sender.Identity()
	if fresh.ProducerID <= 0 || fresh.Epoch < 0 || attaches != 1 {
		t.Errorf("a new producer's identity is %+v after %d attaches", fresh, attaches)
	}
	sender.Claim(&connection.Claim{ProducerID: fresh.ProducerID, Epoch: fresh.Epoch + 1})
	sender.Detach()
	if err := sender.Open(l.context()); err != nil {
		t.Fatal(err)
	}
	claimed, _ := sender.Identity()
	if claimed.ProducerID != fresh.ProducerID || claimed.Epoch != fresh.Epoch+1 {
		t.Errorf("after %+v the identity is %+v, want the same producer in the next epoch", fresh, claimed)
	}
	t.Logf("attached: %+v, and again with the next epoch: %+v", fresh, claimed)
}

// liveKeys publishes the same keys with this package's hash, and through the official client with
// the service's hash.
func liveKeys(t *testing.T, l *live) {
	keys := []string{"a", "7", "", "device-17", "Ærøskøbing", "鍵", strings.Repeat("k", 128), "with space", "ß\U0001F511"}
	for i := range 40 {
		keys = append(keys, fmt.Sprint("key-", i*i))
	}
	p := l.producer(eventhubs.Options{})
	theirs, err := azeventhubs.NewProducerClientFromConnectionString(l.connectionString, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = theirs.Close(context.Background()) }()
	keys = append(keys[:2], keys[3:]...) // without the empty key, which means no key
	for _, key := range keys {
		if err := p.Enqueue(l.context(), eventhubs.With(l.event("ours"), &eventhubs.Event{PartitionKey: key})); err != nil {
			t.Fatal(err)
		}
		batch, err := theirs.NewEventDataBatch(l.context(), &azeventhubs.EventDataBatchOptions{PartitionKey: &key})
		if err != nil {
			t.Fatal(err)
		}
		if err := batch.AddEventData(&azeventhubs.EventData{Body: []byte("theirs"), Properties: map[string]any{"run": l.run}}, nil); err != nil {
			t.Fatal(err)
		}
		if err := theirs.SendEventDataBatch(l.context(), batch, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(l.context()); err != nil {
		t.Fatal(err)
	}
	where := map[string]string{}
	for partition, events := range l.read(2 * len(keys)) {
		for _, event := range events {
			where[string(event.Body)+" "+*event.PartitionKey] = partition
		}
	}
	for _, key := range keys {
		if ours, theirs := where["ours "+key], where["theirs "+key]; ours != theirs {
			t.Errorf("%q: we say partition %s (hash %d), the service says %s", key, ours, partitionkey.Hash(key), theirs)
		}
	}
}

func liveContent(t *testing.T, l *live) {
	p := l.producer(eventhubs.Options{})
	to := &eventhubs.Event{PartitionID: "0"}
	sent := l.event("body \x00\xff")
	sent.ContentType, sent.MessageID, sent.CorrelationID = "application/json", "id 1", "correlation"
	maps.Copy(sent.Properties, map[string]any{
		"text": "grüße", "long": strings.Repeat("x", 1000), "true": true, "int32": int32(-5), "int64": int64(1) << 60, "double": 0.5, "binary": []byte{0, 1, 255},
		"time": time.UnixMilli(1_700_000_000_123).UTC(),
	})
	message := &eventhubs.Event{Properties: map[string]any{"run": l.run, "kind": "value"}, AMQP: &eventhubs.AMQPMessage{
		Body:       &eventhubs.AMQPBody{Value: "a value"},
		Properties: &eventhubs.AMQPProperties{Subject: new("subject")},
	}}
	if err := errors.Join(p.Enqueue(l.context(), eventhubs.With(sent, to)), p.Enqueue(l.context(), eventhubs.With(l.event(""), to)), p.Enqueue(l.context(), eventhubs.With(message, to)), p.Flush(l.context())); err != nil {
		t.Fatal(err)
	}
	events := l.read(3)["0"]
	if len(events) != 3 {
		t.Fatalf("partition 0 has %d of the 3 events", len(events))
	}
	got := events[0]
	if at, ok := got.Properties["time"].(time.Time); ok {
		got.Properties["time"] = at.UTC()
	}
	if !bytes.Equal(got.Body, sent.Body) || !reflect.DeepEqual(got.Properties, sent.Properties) {
		t.Errorf("got %q %v, want %q %v", got.Body, got.Properties, sent.Body, sent.Properties)
	}
	if got.ContentType == nil || *got.ContentType != sent.ContentType || got.MessageID == nil || *got.MessageID != sent.MessageID || got.CorrelationID != sent.CorrelationID {
		t.Errorf("content type, message id or correlation id has changed: %+v", got.EventData)
	}
	if len(events[1].Body) != 0 {
		t.Errorf("an empty body became %q", events[1].Body)
	}
	raw := events[2].RawAMQPMessage
	if raw.Body.Value != "a value" || raw.Properties == nil || raw.Properties.Subject == nil || *raw.Properties.Subject != "subject" {
		t.Errorf("the message became %+v", raw)
	}
}

func liveOutcomes(t *testing.T, l *live) {
	var (
		mu      sync.Mutex // guards the field below
		handled int
	)
	p := l.producer(eventhubs.Options{MaxBufferedEvents: 50, OnBatchSucceeded: func(_ context.Context, b *eventhubs.Batch) {
		mu.Lock()
		defer mu.Unlock()
		handled += b.Count
	}})
	deliveries := make([]eventhubs.Delivery, liveEvents)
	for i := range deliveries { // more than the buffer holds, so Enqueue waits for room
		if err := p.Enqueue(l.context(), eventhubs.With(l.event("x"), &eventhubs.Event{Delivery: &deliveries[i]})); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(l.context()); err != nil {
		t.Fatal(err)
	}
	for i := range deliveries {
		if o := deliveries[i].Outcome(); o.Storage != eventhubs.Stored || o.Err != nil || o.Tries < 1 {
			t.Errorf("after Flush the outcome of event %d is %+v", i, o)
		}
	}
	mu.Lock()
	if handled != liveEvents {
		t.Errorf("the handler got %d events, want %d", handled, liveEvents)
	}
	mu.Unlock()
	if stats := p.Stats(); stats.StoredEvents != liveEvents || stats.BufferedEvents != 0 || p.Health().State != eventhubs.HealthReady {
		t.Errorf("%d events are stored, %d buffered, the health is %v", stats.StoredEvents, stats.BufferedEvents, p.Health().State)
	}
	if err := p.Close(l.context()); err != nil {
		t.Error(err)
	}
	if err := p.Enqueue(l.context(), l.event("x")); !errors.Is(err, eventhubs.ErrClosed) {
		t.Errorf("after Close Enqueue returned %v", err)
	}
	l.read(liveEvents)
}

func liveLimits(t *testing.T, l *live) {
	p := l.producer(eventhubs.Options{OnBatchFailed: func(context.Context, *eventhubs.Batch) {}})
	to := &eventhubs.Event{PartitionID: "0"}
	var tooLarge *eventhubs.EventTooLargeError
	// The event is larger than any tier takes. The refusal states the limit and the size of the
	// envelope.
	huge := l.event(strings.Repeat("x", 21<<20))
	if _, err := p.Publish(l.context(), eventhubs.With(huge, to)); !errors.As(err, &tooLarge) {
		t.Fatalf("Publish of 21 MiB returned %v, want an EventTooLargeError", err)
	}
	largest := len(huge.Body) - (tooLarge.Size - tooLarge.Limit)
	t.Logf("a message may have %d bytes; the largest body of this event is %d", tooLarge.Limit, largest)
	if _, err := p.Publish(l.context(), eventhubs.With(l.event(strings.Repeat("x", largest+1)), to)); !errors.Is(err, eventhubs.ErrEventTooLarge) {
		t.Errorf("one byte more than the largest: %v, want ErrEventTooLarge", err)
	}
	if _, err := p.Publish(l.context(), eventhubs.With(l.event(strings.Repeat("x", largest)), to)); err != nil {
		t.Errorf("the largest: %v", err)
	}
	if events := l.read(1)["0"]; len(events) != 1 || len(events[0].Body) != largest {
		t.Error("partition 0 holds something else than the largest event alone")
	}
}

func liveRefusals(t *testing.T, l *live) {
	connect := func(connectionString string) eventhubs.Code {
		p, err := eventhubs.NewBufferedProducerFromConnectionString(connectionString, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.Close(context.Background()) }()
		e, _ := errors.AsType[*eventhubs.Error](p.Connect(l.context(), &eventhubs.ConnectOptions{Links: true}))
		if e == nil {
			return "nothing"
		}
		return e.Code
	}
	delivered, err := connectionstring.Parse(l.connectionString)
	if err != nil {
		t.Fatal(err)
	}
	missing := strings.Replace(l.connectionString, "EntityPath="+l.hub, "EntityPath=no-such-hub", 1)
	// The service refuses a hub's own key before it reports that the hub does not exist.
	if code := connect(missing); code != eventhubs.CodeNotFound && code != eventhubs.CodeUnauthorized {
		t.Errorf("for a hub that does not exist Connect returned %s, want %s", code, eventhubs.CodeNotFound)
	}
	if key := delivered.Key(); key != "" {
		if code := connect(strings.Replace(l.connectionString, key, "d3Jvbmc=", 1)); code != eventhubs.CodeUnauthorized {
			t.Errorf("for a wrong key Connect returned %s, want %s", code, eventhubs.CodeUnauthorized)
		}
	}
}

func liveServiceAssigned(t *testing.T, l *live) {
	p := l.producer(eventhubs.Options{Partitioning: eventhubs.ServiceAssigned})
	for i := range 10 {
		if _, err := p.Publish(l.context(), l.event(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	l.read(10)
}
