package eventhubstest_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/eventhubstest"
)

var refused = eventhubs.Outcome{Storage: eventhubs.NotStored, Err: errors.New("refused"), Tries: 3}

// everyKind returns events of every kind.
func everyKind() []*eventhubs.Event {
	later := time.Now().Add(time.Hour)
	return []*eventhubs.Event{
		{Body: []byte("plain"), Tag: 1}, {}, {Body: []byte("id"), PartitionID: "0", ExpiresAt: later},
		{Body: []byte("key"), PartitionKey: "k", MessageID: "m", CorrelationID: "c", ContentType: "t", Properties: map[string]any{"n": 5, "list": []string{"a"}, "id": [16]byte{1}}},
		{AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{Value: map[string]any{"a": int32(1)}}, Footer: map[any]any{"f": true}}},
		{AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{}, MessageAnnotations: map[any]any{"x-opt-partition-key": "k"}}},
	}
}

// A batch or event from this package gives a handler the same values as a producer's.
func TestABatchIsWhatAProducerMakes(t *testing.T) {
	server := emulatortest.New(t, &emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 1}}})
	var want []*eventhubs.Event
	var made *eventhubs.Batch
	p, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("events"), "", &eventhubs.Options{MaxWaitTime: time.Minute, OnBatchSucceeded: func(_ context.Context, b *eventhubs.Batch) {
		want, made = slices.AppendSeq(want, b.Events()), b
	}})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := p.EnqueueAll(t.Context(), eventhubs.Events(everyKind()...)); n != len(everyKind()) || err != nil {
		t.Fatal(n, err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, e := range want {
		e.ExpiresAt = e.ExpiresAt.Truncate(time.Minute)
	}
	b := eventhubstest.NewBatch(made.Outcome, everyKind()...)
	b.PartitionID = "0"
	if b.Count != made.Count || b.Bytes != made.Bytes || b.Outcome != made.Outcome {
		t.Errorf("the batch is %d events, %d bytes, %v; a producer's %d, %d, %v", b.Count, b.Bytes, b.Outcome, made.Count, made.Bytes, made.Outcome)
	}
	i := 0
	for got := range b.Events() {
		got.ExpiresAt = got.ExpiresAt.Truncate(time.Minute)
		if !reflect.DeepEqual(got, want[i]) {
			t.Errorf("event %d is %+v, a producer's is %+v", i, got, want[i])
		}
		i++
	}
	for i, e := range everyKind() {
		got, err := eventhubstest.Accept(e)
		if err != nil {
			t.Fatal(err)
		}
		got.ExpiresAt = got.ExpiresAt.Truncate(time.Minute)
		if !reflect.DeepEqual(got, want[i]) {
			t.Errorf("accepted is %+v, a producer's is %+v", got, want[i])
		}
	}
	if got, want := slices.Collect(b.Tags()), slices.Collect(made.Tags()); !reflect.DeepEqual(got, want) {
		t.Errorf("the tags are %v, a producer's are %v", got, want)
	}
}

func TestWhatAHandlerEnqueuesAgainIsThere(t *testing.T) {
	b := eventhubstest.NewBatch(refused, &eventhubs.Event{Body: []byte("a"), PartitionID: "3", Tag: "t"}, &eventhubs.Event{Body: []byte("b"), PartitionKey: "k"})
	if again := eventhubstest.EnqueuedAgain(b); len(again) != 0 || b.PartitionID != "3" {
		t.Errorf("before, %v are enqueued again; the batch is in %q, want none, and 3", again, b.PartitionID)
	}
	if n, err := b.EnqueueAgain(t.Context()); n != 2 || err != nil {
		t.Errorf("EnqueueAgain returned %d, %v", n, err)
	}
	want := []*eventhubs.Event{{Body: []byte("a"), PartitionID: "3", Tag: "t"}, {Body: []byte("b"), PartitionKey: "k"}}
	if again := eventhubstest.EnqueuedAgain(b); !reflect.DeepEqual(again, want) {
		t.Errorf("enqueued again are %v, want %v", again, want)
	}
}

func TestADeliveryIsSettledOnce(t *testing.T) {
	var d eventhubs.Delivery
	done := d.Done()
	eventhubstest.Settle(&d, refused)
	<-done
	if d.Outcome() != refused || d.Err() != refused.Err {
		t.Errorf("the outcome is %v", d.Outcome())
	}
	defer func() {
		if text := fmt.Sprint(recover()); !strings.Contains(text, "already has an outcome") {
			t.Errorf("a second outcome ends in %s", text)
		}
	}()
	eventhubstest.Settle(&d, eventhubs.Outcome{Storage: eventhubs.Stored})
}

func TestAcceptRefusesWhatEnqueueRefuses(t *testing.T) {
	var taken eventhubs.Delivery
	if _, err := eventhubstest.Accept(&eventhubs.Event{Delivery: &taken}); err != nil {
		t.Fatal(err)
	}
	p, err := eventhubs.NewBufferedProducerFromConnectionString("Endpoint=sb://127.0.0.1:1;SharedAccessKeyName=a;SharedAccessKey=YWJj;UseDevelopmentEmulator=true", "hub", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	for name, e := range map[string]*eventhubs.Event{
		"nil": nil, "a channel": {Properties: map[string]any{"c": make(chan int)}}, "id and key": {PartitionID: "1", PartitionKey: "k"}, "a long key": {PartitionKey: strings.Repeat("k", 129)},
		"expired": {ExpiresAt: time.Unix(1, 0)}, "a Delivery of another": {Delivery: &taken}, "two bodies": {Body: []byte{}, AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{}}},
		"two keys": {PartitionKey: "a", AMQP: &eventhubs.AMQPMessage{MessageAnnotations: map[any]any{"x-opt-partition-key": "b"}}},
	} {
		accepted, got := eventhubstest.Accept(e)
		want := p.Enqueue(t.Context(), e)
		if accepted != nil || want == nil || fmt.Sprint(got) != want.Error() {
			t.Errorf("%s: Accept returned %v, %v; Enqueue returns %v", name, accepted, got, want)
		}
	}
	if p.BufferedEvents() != 0 {
		t.Error("Enqueue has accepted one")
	}
	defer func() {
		if text := fmt.Sprint(recover()); !strings.Contains(text, `event 1: eventhubs: invalid argument: Event.Properties["c"]`) {
			t.Errorf("NewBatch of an event that cannot be sent ends in %s", text)
		}
	}()
	eventhubstest.NewBatch(refused, &eventhubs.Event{}, &eventhubs.Event{Properties: map[string]any{"c": make(chan int)}})
}

// A nil error says that an event is stored. A test with another outcome would pass with a wrong
// handler.
func TestOutcomesThatNoProducerTellsAreRefused(t *testing.T) {
	for want, outcome := range map[string]eventhubs.Outcome{
		"the outcome's Storage is pending":          {},
		"the outcome's Storage is Storage(9)":       {Storage: 9},
		"the outcome is not stored and has no Err":  {Storage: eventhubs.NotStored},
		"the outcome is possibly stored and has no": {Storage: eventhubs.PossiblyStored},
		`the outcome is stored and has the Err "`:   {Storage: eventhubs.Stored, Err: refused.Err},
	} {
		var d eventhubs.Delivery
		for name, call := range map[string]func(){
			"Settle":   func() { eventhubstest.Settle(&d, outcome) },
			"NewBatch": func() { eventhubstest.NewBatch(outcome, &eventhubs.Event{}) },
		} {
			if got := panicOf(call); !strings.Contains(got, "eventhubstest: "+name+": "+want) {
				t.Errorf("%s of %+v ends in %s, want a text with %q", name, outcome, got, want)
			}
		}
		if d.Err() != eventhubs.ErrPending {
			t.Errorf("a Delivery was told %+v", d.Outcome())
		}
	}
	if got, want := panicOf(func() { eventhubstest.Settle(nil, refused) }), "eventhubstest: Settle: the Delivery is nil"; got != want {
		t.Errorf("Settle of nil ends in %s, want %s", got, want)
	}
}

func panicOf(call func()) (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	call()
	return ""
}

func TestABatchOfATestIsInOnePartition(t *testing.T) {
	named := refused
	named.PartitionID = "7"
	event := &eventhubs.Event{PartitionID: "3"}
	for want, b := range map[string]*eventhubs.Batch{"7": eventhubstest.NewBatch(named, event), "3": eventhubstest.NewBatch(refused, event), "": eventhubstest.NewBatch(refused)} {
		if b.PartitionID != want || b.Outcome.PartitionID != want {
			t.Errorf("got partition %q, in the outcome %q, want %q", b.PartitionID, b.Outcome.PartitionID, want)
		}
	}
}
