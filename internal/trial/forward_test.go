package trial

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/azevents"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/amqp/amqptest"
	"github.com/go-eventhubs/eventhubs/internal/sdktest"
)

var (
	forwardSeed  = flag.Uint64("forward.seed", 0, "forward the messages of this seed only")
	forwardSeeds = flag.Uint64("forward.seeds", 5, "how many seeds are forwarded, each of 300 messages")
)

// numberNames are the annotations that an idempotent producer puts on events.
var numberNames = []string{"com.microsoft:producer-id", "com.microsoft:producer-epoch", "com.microsoft:producer-sequence-number"}

// A forwarding is a server with events in the hub "from", and azeventhubs' consumer as its only
// reader. Both hubs have one partition.
type forwarding struct {
	*testing.T
	server *emulator.Server
}

func newForwarding(t *testing.T) *forwarding {
	o := &emulator.Options{Hubs: []emulator.Hub{{Name: "from", Partitions: 1}, {Name: "to", Partitions: 1}}}
	return &forwarding{t, emulatortest.New(t, o)}
}

// publish stores messages unchanged, and returns them as azeventhubs receives them.
func (f *forwarding) publish(messages ...[]byte) []*azeventhubs.ReceivedEventData {
	f.Helper()
	sdktest.Store(f, f.server.ConnectionString("from"), messages)
	return sdktest.Receive(f, f.server.ConnectionString("from"), len(messages))
}

// send makes a producer with these options, which sends the events of enqueue to the hub "to". The
// hub is emptied before. It returns the stored messages and the events as the handler got them.
func (f *forwarding) send(o eventhubs.Options, enqueue func(p *eventhubs.BufferedProducer)) (stored [][]byte, told []*eventhubs.Event) {
	f.Helper()
	before := f.server.Counts("to", "").Events
	var mu sync.Mutex
	o.OnBatchSucceeded = func(_ context.Context, b *eventhubs.Batch) {
		mu.Lock()
		defer mu.Unlock()
		told = slices.AppendSeq(told, b.Events())
	}
	p, err := eventhubs.NewBufferedProducerFromConnectionString(f.server.ConnectionString("to"), "", &o)
	if err != nil {
		f.Fatal(err)
	}
	enqueue(p)
	if err := p.Close(f.Context()); err != nil {
		f.Fatal(err)
	}
	for e := range f.server.Events("to", "0") {
		stored = append(stored, e.Message)
	}
	return stored[before:], told
}

// want compares the stored messages with the originals, except for the parts that Canonical leaves
// out.
func (f *forwarding) want(how string, stored, want [][]byte, without ...string) {
	f.Helper()
	if len(stored) != len(want) {
		f.Fatalf("%s: %d events are stored, want %d", how, len(stored), len(want))
	}
	for i := range want {
		got, want := amqptest.Canonical(stored[i], without...), amqptest.Canonical(want[i], without...)
		if !bytes.Equal(got, want) {
			at := 0
			for at < min(len(got), len(want)) && got[at] == want[at] {
				at++
			}
			around := func(b []byte) []byte { return b[max(0, at-40):min(len(b), at+40)] }
			f.Fatalf("%s: event %d has at byte %d of %d\n … %q …, want of %d\n … %q …", how, i, at, len(got), around(got), len(want), around(want))
		}
	}
}

// Every event that azeventhubs' consumer returns is stored again byte for byte. The receiver or a
// handler may enqueue it, with numbers or without.
func TestWhateverAzeventhubsReceivesIsSentOnAsItWas(t *testing.T) {
	seeds := []uint64{*forwardSeed}
	if *forwardSeed == 0 {
		seeds = nil
		for seed := range *forwardSeeds {
			seeds = append(seeds, seed+1)
		}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Logf("repeat with -forward.seed=%d", seed)
			f := newForwarding(t)
			_, original := amqptest.Random(seed).Messages(t, 300)
			received := f.publish(original...)
			messages := func(p *eventhubs.BufferedProducer) {
				for i, e := range received {
					if err := p.Enqueue(t.Context(), azevents.FromReceived(e)); err != nil {
						t.Fatalf("Enqueue of event %d: %v", i, err)
					}
				}
			}
			stored, told := f.send(eventhubs.Options{}, messages)
			f.want("sent on", stored, original)
			stored, _ = f.send(eventhubs.Options{EnableIdempotentRetries: true}, messages)
			f.want("sent on with numbers", stored, original, numberNames...)
			stored, _ = f.send(eventhubs.Options{}, func(p *eventhubs.BufferedProducer) {
				for i, e := range told {
					if err := p.Enqueue(t.Context(), e); err != nil {
						t.Fatalf("Enqueue of event %d from a handler: %v", i, err)
					}
				}
			})
			f.want("sent on from a handler", stored, original)
		})
	}
}

// A received event's Body, Properties and ids may be sent on with Enqueue, whatever types
// azeventhubs has given them.
func TestWhateverEventDataCarriesIsEnqueued(t *testing.T) {
	f := newForwarding(t)
	original, encoded := amqptest.Random(1).Messages(t, 300)
	received := f.publish(encoded...)
	stored, told := f.send(eventhubs.Options{}, func(p *eventhubs.BufferedProducer) {
		for i, e := range received {
			if err := p.Enqueue(t.Context(), azevents.FromEventData(&e.EventData)); err != nil {
				t.Fatalf("Enqueue of event %d: %v", i, err)
			}
		}
	})
	again, _ := f.send(eventhubs.Options{}, func(p *eventhubs.BufferedProducer) {
		for i, e := range told {
			if err := p.Enqueue(t.Context(), e); err != nil {
				t.Fatalf("Enqueue of event %d from a handler: %v", i, err)
			}
		}
	})
	f.want("enqueued again", again, stored)
	for i, from := range original {
		want := amqp.Message{Data: [][]byte{{}}}
		if len(from.Data) == 1 && from.Data[0] != nil {
			want.Data = from.Data
		}
		if len(from.ApplicationProperties) > 0 {
			want.ApplicationProperties = from.ApplicationProperties
		}
		if p := from.Properties; p != nil {
			id, isText := p.MessageID.(string)
			if isText || p.CorrelationID != nil || p.ContentType != nil {
				want.Properties = &amqp.Properties{CorrelationID: p.CorrelationID, ContentType: p.ContentType}
			}
			if isText {
				want.Properties.MessageID = id
			}
		}
		// An event's properties are a list of seven fields, the last of which may be null. The
		// bytes may therefore differ from the original message's.
		got, err := amqp.ParseMessage(stored[i])
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.Properties, want.Properties) {
			t.Errorf("event %d has the properties %+v, want %+v", i, got.Properties, want.Properties)
		}
		got.Properties, want.Properties = nil, nil
		gotBytes, err := got.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		wantBytes, err := want.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := amqptest.Canonical(gotBytes), amqptest.Canonical(wantBytes); !bytes.Equal(got, want) {
			t.Errorf("event %d is\n %x, want\n %x", i, got, want)
		}
	}
}
