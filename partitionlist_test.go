package eventhubs

import (
	"cmp"
	"context"
	"errors"
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
)

// What the service says of a hub's partitions may be short for a moment, late, or name one twice; hubs grow, and are made anew with fewer.

// listHub is a hub whose list of partitions is the test's.
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

// remote is a producer's way to an emulator of its own.
func remote(t *testing.T, partitions int, hook emulator.Hook) (*emulator.Server, *remoteHub) {
	server, err := emulator.New(&emulator.Options{Addr: emulator.InMemory, Hubs: []emulator.Hub{{Name: "hub", Partitions: partitions}}, Hook: hook})
	if err != nil {
		t.Fatal(err)
	}
	conn := connection.New(connection.Config{Namespace: "emulator.test", Plain: true, Tokens: connection.TokensFromKey("rule", "key"),
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return server.Dial(ctx) }})
	return server, &remoteHub{conn: conn, own: true, name: "hub", identifier: "me"}
}

// A partition that is missing from one reply and there in the next.
func TestAPartitionThatComesBackKeepsItsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		tries := 0
		peer.answer = func(s sent) connection.Result {
			if s.bodies[0] == "first" {
				if tries++; tries <= 2 {
					return transient(connection.NotSent)
				}
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.connected(Options{MaxWaitTime: SendAtOnce, OnBatchFailed: ignore})
		enqueue(t, p, "1", "first") // fails, is tried again
		synctest.Wait()
		for _, ids := range [][]string{{"0"}, {"0", "1"}} {
			peer.partitions = ids
			if err := p.Connect(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		}
		enqueue(t, p, "1", "second")
		synctest.Wait()
		if got := p.PartitionBufferedEvents("1"); got != 2 {
			t.Errorf("PartitionBufferedEvents %d, want 2 (total %d)", got, p.BufferedEvents())
		}
		if err := p.FlushPartition(t.Context(), "1"); err != nil {
			t.Error(err)
		}
		if got := p.BufferedEvents(); got != 0 {
			t.Errorf("after FlushPartition %d events are buffered", got)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got := peer.storedIn("1"); !slices.Equal(got, []string{"first", "second"}) {
			t.Errorf("stored %v", got)
		}
	})
}

// With idempotent retries two owners of one partition would fence each other off.
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
				o.Logger = cmp.Or(o.Logger, unlogged)
				p := newProducer("emulator.test", "hub", h, o)
				defer func() { _ = p.Close(context.Background()) }()
				if err := p.Connect(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
				enqueue(t, p, "1", "a")
				_ = p.Flush(t.Context())
				busy.Store(true)
				enqueue(t, p, "1", "b") // is tried again after 4 s
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

func TestAListThatFlapsLeaksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 32)
		p := peer.connected(Options{})
		all := slices.Clone(peer.partitions)
		for range 100 {
			for _, ids := range [][]string{all[:1], all} {
				peer.partitions = ids
				if err := p.Connect(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		if got := len(p.Stats().Partitions); got > 32 {
			t.Errorf("%d partitions for a hub of 32", got)
		}
	})
}

func TestAListThatNamesAPartitionTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		peer.partitions = []string{"0", "0", "1"}
		p := peer.connected(Options{MaxWaitTime: UntilFull})
		for i := range 3 {
			enqueue(t, p, "", fmt.Sprint(i))
		}
		if got := p.PartitionBufferedEvents("0") + p.PartitionBufferedEvents("1"); got != 3 {
			t.Errorf("the partitions hold %d of 3", got)
		}
		_ = p.FlushPartition(t.Context(), "0")
		_ = p.FlushPartition(t.Context(), "1")
		if got := p.BufferedEvents(); got != 0 {
			t.Errorf("after FlushPartition of each %d are left", got)
		}
	})
}

// A hub that only grows: the reply to the earlier of two questions comes last.
func TestTheListThatWasAskedForLastHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 4)
		h := &listHub{hub: peer, list: func(call int) []string {
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
		o.Logger = cmp.Or(o.Logger, unlogged)
		p := newProducer("test.example", "hub", h, o)
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
			t.Errorf("Enqueue for a partition that there is: %v", err)
		}
		_ = p.Connect(t.Context(), nil)
		if got := len(p.Stats().Partitions); got != 4 {
			t.Errorf("%d partitions, want 4", got)
		}
	})
}

func TestHealthAndConnectForgetAPartitionThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		peer.answer = func(s sent) connection.Result {
			if s.partition == "1" {
				peer.mu.Lock()
				peer.partitions = []string{"0"} // the hub was made anew with fewer
				peer.mu.Unlock()
				return connection.Result{Outcome: connection.NotSent, Err: &connection.Error{Code: connection.CodePartitionUnknown, Err: errors.New("x")}}
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.connected(Options{MaxWaitTime: SendAtOnce, Retry: RetryOptions{MaxRetries: 1}, OnBatchFailed: ignore})
		enqueue(t, p, "1", "a")
		_ = p.Flush(t.Context())
		if err := p.Enqueue(t.Context(), &Event{Body: []byte("b"), PartitionID: "1"}); !errors.Is(err, ErrPartitionUnknown) {
			t.Errorf("the list was not refreshed: %v", err)
		}
		for range 100 {
			time.Sleep(time.Minute)
			if _, err := p.Publish(t.Context(), event("c")); err != nil {
				t.Fatal(err)
			}
		}
		if h := p.Health(); h.State != HealthReady {
			t.Errorf("100 minutes and 100 stored events later Health is %v %v, since %v", h.State, h.Partitions, h.Since)
		}
		if err := p.Connect(t.Context(), nil); err != nil {
			t.Error(err)
		}
		peer.open = func(id string) error {
			if id == "1" {
				return &connection.Error{Code: connection.CodePartitionUnknown, Err: errors.New("no such partition")}
			}
			return nil
		}
		if err := p.Connect(t.Context(), &ConnectOptions{Links: true}); err != nil {
			t.Errorf("Connect opens the links of a partition that the hub does not have: %v", err)
		}
	})
}

func TestAThousandUnknownPartitionsAskForTheListOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1000)
		peer.answer = func(s sent) connection.Result {
			return connection.Result{Outcome: connection.NotSent, Err: &connection.Error{Code: connection.CodePartitionUnknown, Err: errors.New("x")}}
		}
		p := peer.connected(Options{MaxWaitTime: SendAtOnce, Retry: RetryOptions{MaxRetries: -1}, OnBatchFailed: ignore})
		peer.mu.Lock()
		peer.properties = func(int) error { time.Sleep(30 * time.Second); return nil }
		peer.mu.Unlock()
		for i := range 1000 {
			enqueue(t, p, fmt.Sprint(i), "a")
		}
		synctest.Wait()
		if peer.asked > 3 {
			t.Errorf("the list is asked for %d times at once", peer.asked-1)
		}
		_ = p.Close(t.Context())
	})
}

// The refresh takes longer than its interval.
func TestARefreshIsOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		p := peer.connected(Options{MaxWaitTime: SendAtOnce, PartitionRefreshInterval: 100 * time.Millisecond})
		var now, most atomic.Int32
		peer.mu.Lock()
		peer.properties = func(int) error {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(50 * time.Second)
			now.Add(-1)
			return nil
		}
		peer.mu.Unlock()
		for range 300 {
			if _, err := p.Publish(t.Context(), event("c")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if most.Load() > 1 {
			t.Errorf("%d refreshes at once", most.Load())
		}
	})
}
