package eventhubs_test

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/connectionstring"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// The live suite checks on a real event hub the guarantees that need no faults. The hub may hold
// other events, and others may use it meanwhile:
//
//	EVENTHUBS_CONNECTION_STRING='Endpoint=sb://…;EntityPath=NAME' go test -run 'TestLive$' -v .
//
// The key needs the rights Send and Listen. It publishes about 1,500 events, a few MB.
func TestLive(t *testing.T) {
	connectionString, set := os.LookupEnv("EVENTHUBS_CONNECTION_STRING")
	if set && strings.TrimSpace(connectionString) == "" {
		t.Fatal("EVENTHUBS_CONNECTION_STRING is set and empty: give it the connection string of an event hub, or unset it") // usually a missing secret
	}
	if !set {
		const missing = "NOT RUN: set EVENTHUBS_CONNECTION_STRING to that of an event hub, with its EntityPath"
		if asked := flag.Lookup("test.run"); asked != nil && strings.Contains(asked.Value.String(), "Live") {
			// The go command hides a skipped test, and a caller that asked for this one must not
			// believe that it passed.
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	runLive(t, connectionString)
}

// The suite itself is tested against the emulator, which verifies signatures as the service does.
func TestTheEmulatorPassesWhatTheServiceIsAsked(t *testing.T) {
	server := emulatortest.New(t, &emulator.Options{Hubs: world.Hubs(4), Authentication: &emulator.Authentication{}})
	runLive(t, ` "`+server.ConnectionString("hub")+"\"\n") // white space as in a file
}

func runLive(t *testing.T, connectionString string) {
	delivered, err := connectionstring.Parse(connectionString)
	switch {
	case err != nil:
		t.Fatalf("EVENTHUBS_CONNECTION_STRING: %v", err)
	case delivered.Hub == "":
		t.Fatal("EVENTHUBS_CONNECTION_STRING: the connection string has no EntityPath")
	case delivered.WebSocket != "":
		t.Fatalf("EVENTHUBS_CONNECTION_STRING asks for AMQP over WebSocket (%s), which this suite does not speak", delivered.WebSocket)
	}
	for _, test := range []struct {
		name string
		run  func(*testing.T, *live)
	}{
		{"events are stored once, in order, and whole", liveOrder},
		{"idempotent retries are offered, and events stored once with them", liveIdempotentOrder},
		{"an idempotent producer goes on where it was, and fences off its former life", liveIdentity},
		{"keys go where the service puts them", liveKeys},
		{"properties and messages arrive as they were", liveContent},
		{"each outcome is reported once, and Flush waits for all of them", liveOutcomes},
		{"the largest event is stored, a larger one fails alone", liveLimits},
		{"each fault is reported at once, by its code", liveRefusals},
		{"events that the service places are stored", liveServiceAssigned},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.run(t, &live{t: t, connectionString: delivered.Text() + ";EntityPath=" + delivered.Hub, hub: delivered.Hub, run: rand.Text()})
		})
	}
}

// A live is one test's use of the event hub. Its events carry the name of its run, which separates
// them from others.
type live struct {
	t                          *testing.T
	connectionString, hub, run string
	// of this test's events, by partition.
	begins map[string]azeventhubs.StartPosition
}

// patience bounds each wait for the service. It is a limit for faults, and not a measure.
const patience = 2 * time.Minute

func (l *live) context() context.Context {
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	l.t.Cleanup(cancel)
	return ctx
}

// event returns a new event of this run.
func (l *live) event(body string) *eventhubs.Event {
	return &eventhubs.Event{Body: []byte(body), Properties: map[string]any{"run": l.run}}
}

// producer returns a producer that is closed when the test ends. It notes where each partition ends
// now.
func (l *live) producer(options eventhubs.Options) *eventhubs.BufferedProducer {
	l.t.Helper()
	if options.OnBatchFailed == nil {
		options.OnBatchFailed = func(_ context.Context, b *eventhubs.Batch) {
			l.t.Errorf("%d events are %v: %v", b.Count, b.Outcome.Storage, b.Outcome.Err)
		}
	}
	p, err := eventhubs.NewBufferedProducerFromConnectionString(l.connectionString, "", &options)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = p.Close(ctx) // failures were reported before
	})
	if l.begins == nil {
		l.noteEnds(p)
	}
	return p
}

func (l *live) noteEnds(p *eventhubs.BufferedProducer) {
	l.t.Helper()
	ctx := l.context()
	all, err := p.EventHubProperties(ctx)
	if err != nil {
		l.t.Fatal(err)
	}
	l.begins = map[string]azeventhubs.StartPosition{}
	for _, id := range all.PartitionIDs {
		partition, err := p.PartitionProperties(ctx, id)
		switch {
		case err != nil:
			l.t.Fatal(err)
		case partition.IsEmpty:
			l.begins[id] = azeventhubs.StartPosition{Earliest: new(true)}
		default:
			l.begins[id] = azeventhubs.StartPosition{SequenceNumber: &partition.LastEnqueuedSequenceNumber}
		}
	}
}

// read returns this run's events by partition. It reads that many with the official client.
func (l *live) read(want int) map[string][]*azeventhubs.ReceivedEventData {
	l.t.Helper()
	client, err := azeventhubs.NewConsumerClientFromConnectionString(l.connectionString, "", azeventhubs.DefaultConsumerGroup, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	defer func() { _ = client.Close(context.Background()) }()
	ctx, cancel := context.WithCancel(l.context())
	defer cancel()
	var (
		mu    sync.Mutex // guards the fields below
		left  = want
		found = map[string][]*azeventhubs.ReceivedEventData{}
		group sync.WaitGroup
	)
	for id, begin := range l.begins {
		// This goroutine ends when all events are found, or with ctx.
		group.Go(func() {
			l.readPartition(ctx, client, id, begin, func(event *azeventhubs.ReceivedEventData) {
				mu.Lock()
				defer mu.Unlock()
				found[id] = append(found[id], event)
				if left--; left == 0 {
					cancel()
				}
			})
		})
	}
	group.Wait()
	if left > 0 {
		l.t.Fatalf("%d of %d events were not found", left, want)
	}
	return found
}

func (l *live) readPartition(ctx context.Context, client *azeventhubs.ConsumerClient, id string, begin azeventhubs.StartPosition, found func(*azeventhubs.ReceivedEventData)) {
	partition, err := client.NewPartitionClient(id, &azeventhubs.PartitionClientOptions{StartPosition: begin})
	if err != nil {
		l.t.Error(err)
		return
	}
	defer func() { _ = partition.Close(context.Background()) }()
	for ctx.Err() == nil {
		// It waits until it has that many, so it asks for one.
		events, err := partition.ReceiveEvents(ctx, 1, nil)
		if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
			l.t.Errorf("partition %s: %v", id, err)
			return
		}
		for _, event := range events {
			if event.Properties["run"] == l.run {
				found(event)
			}
		}
	}
}
