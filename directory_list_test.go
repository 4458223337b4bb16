package eventhubs

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
)

func TestAHubThatGrowsKeepsWhatIsBuffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		p := connectedOver(peer, Options{MaxWaitTime: UntilFull})
		earlier := slices.Clone(p.directory.table.Load().partitions)
		enqueue(t, p, "0", "a")
		enqueue(t, p, "1", "b")
		peer.Partitions = []string{"0", "1", "2", "3"}
		if err := p.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if tab := p.directory.table.Load(); !slices.Equal(tab.partitions[:2], earlier) || len(tab.partitions) != 4 || p.PartitionBufferedEvents("0") != 1 {
			t.Error("the existing partitions were replaced")
		}
		enqueue(t, p, "0", "c")
		enqueue(t, p, "3", "d")
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(peer.StoredIn("0"), peer.StoredIn("1"), peer.StoredIn("3")); got != "[a c] [b] [d]" {
			t.Errorf("stored %s", got)
		}
	})
}

// A listHub is a hub whose list of partitions the test sets.
type listHub struct {
	hub
	list func(call int) []string
	call atomic.Int32
}

func (h *listHub) Properties(ctx context.Context) (connection.HubProperties, error) {
	p, err := h.hub.Properties(ctx)
	if ids := h.list(int(h.call.Add(1))); ids != nil {
		p.PartitionIDs = ids
	}
	return p, err
}

// remote connects a producer to an emulator of its own.
func remote(t *testing.T, partitions int, hook emulator.Hook) (*emulator.Server, *remoteHub) {
	server, err := emulator.New(&emulator.Options{Addr: emulator.InMemory, Hubs: []emulator.Hub{{Name: "hub", Partitions: partitions}}, Hook: hook})
	if err != nil {
		t.Fatal(err)
	}
	conn := connection.New(connection.Config{Namespace: "emulator.test", Plain: true, Tokens: connection.TokensFromKey("rule", "key"),
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return server.Dial(ctx) }})
	return server, &remoteHub{conn: conn, own: true, name: "hub", identifier: "me"}
}

// With idempotent retries, two owners of one partition would fence each other off.
func TestAPartitionThatComesBackIsTheSameProducer(t *testing.T) {
	for name, state := range map[string]ProducerStore{"without a state": nil, "with a state": NewFileProducerStore(t.TempDir())} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var busy, short atomic.Bool
				server, r := remote(t, 2, func(_ context.Context, op emulator.Operation) emulator.Action {
					if op.Kind == emulator.KindTransfer && busy.Swap(false) {
						return emulator.Reject("com.microsoft:server-busy", "Please wait 4 seconds and try again.")
					}
					return emulator.Pass()
				})
				defer server.Close()
				r.idempotent = true
				h := &listHub{hub: r, list: func(int) []string {
					if short.Load() {
						return []string{"0"}
					}
					return nil
				}}
				o, err := (&Options{MaxWaitTime: SendAtOnce, EnableIdempotentRetries: true, ProducerStore: state, OnBatchFailed: func(_ context.Context, b *Batch) {
					t.Errorf("%d events failed: %v", b.Count, b.Outcome.Err)
				}}).withDefaults()
				if err != nil {
					t.Fatal(err)
				}
				o.Logger = cmp.Or(o.Logger, scripted.Unlogged)
				p := mustNewProducer(t, "emulator.test", h, o)
				defer func() { _ = p.Close(context.Background()) }()
				if err := p.Connect(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
				enqueue(t, p, "1", "a")
				_ = p.Flush(t.Context())
				busy.Store(true)
				enqueue(t, p, "1", "b") // the next try comes after 4 s
				synctest.Wait()
				for _, s := range []bool{true, false} {
					short.Store(s)
					if err := p.Connect(t.Context(), nil); err != nil {
						t.Fatal(err)
					}
				}
				enqueue(t, p, "1", "c")
				if err := p.Flush(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// The hub only grows. The reply to the earlier of two questions arrives last.
func TestTheListThatWasAskedForLastHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 4)
		h := &listHub{hub: seamHub{peer}, list: func(call int) []string {
			switch call {
			case 2: // asked while there are two, answered late
				time.Sleep(2 * time.Second)
				return []string{"0", "1"}
			default:
				return nil
			}
		}}
		o, err := (&Options{MaxWaitTime: UntilFull}).withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		o.Logger = cmp.Or(o.Logger, scripted.Unlogged)
		p := mustNewProducer(t, "test.example", h, o)
		defer func() { _ = p.Close(context.Background()) }()
		if err := p.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		var both sync.WaitGroup
		both.Go(func() { _ = p.Connect(t.Context(), nil) })
		time.Sleep(time.Second)
		_ = p.Connect(t.Context(), nil)
		enqueue(t, p, "3", "a")
		both.Wait()
		if err := p.Enqueue(t.Context(), &Event{Body: []byte("b"), PartitionID: "3"}); err != nil {
			t.Errorf("Enqueue for an existing partition: %v", err)
		}
		_ = p.Connect(t.Context(), nil)
		if got := len(p.Stats().Partitions); got != 4 {
			t.Errorf("%d partitions, want 4", got)
		}
	})
}
