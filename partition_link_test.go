package eventhubs

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
)

// A detachingHub has links whose Detach works as connection.Sender's does: batches in flight become
// unknown.
type detachingHub struct{ *scripted.Hub }

func (h detachingHub) Link(id string) link {
	return &detachingLink{Link: scripted.Link{Peer: h.Hub, ID: id}, given: make(chan struct{})}
}

type detachingLink struct {
	scripted.Link

	mu    sync.Mutex // guards the fields below
	given chan struct{}
	sends int
}

func (l *detachingLink) Detach() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.given)
	l.given = make(chan struct{})
}

// Send releases the first batch, and then allows it no message. It stores all others, and
// acknowledges them after a second.
func (l *detachingLink) Send(ctx context.Context, batch [][]byte) connection.Result {
	body := scripted.BodyOf(l.Peer.T, scripted.EventsIn(l.Peer.T, batch)[0])
	l.mu.Lock()
	given := l.given
	l.sends++
	first := l.sends == 1
	l.mu.Unlock()
	switch {
	case first:
		return connection.Result{Outcome: connection.Released, Err: &connection.Error{Code: connection.CodeReleased, Transient: true, Err: errors.New("released")}}
	case body == "first":
		<-ctx.Done()
		return connection.Result{Outcome: connection.NotSent, Err: &connection.Error{Code: connection.CodeTimeout, Transient: true, Err: ctx.Err()}}
	}
	l.Peer.Store(scripted.Sent{Partition: l.ID, Bodies: []string{body}})
	select {
	case <-time.After(time.Second):
		return connection.Result{Outcome: connection.Accepted}
	case <-given:
		return scripted.Transient(connection.Unknown)
	}
}

// A try without credit gives up its link only if it had all its time and no other batch is in
// flight there. Otherwise the others' batches would be sent again, and stored twice.
func TestATryWithoutCreditLeavesOthersTheirLink(t *testing.T) {
	for _, c := range []struct {
		name     string
		options  Options
		again    time.Duration // the pause before the first batch is tried again
		second   time.Duration // the time when the second batch is sent
		detached bool
	}{
		{"cut short", Options{DeliveryTimeout: 10 * time.Second}, 9900 * time.Millisecond, 10 * time.Second, false},
		{"cut short, beside another", Options{DeliveryTimeout: 10 * time.Second, MaxConcurrentSendsPerPartition: 2}, 9900 * time.Millisecond, 9800 * time.Millisecond, false},
		{"beside another", Options{MaxConcurrentSendsPerPartition: 2}, time.Millisecond, 4500 * time.Millisecond, false},
		{"alone", Options{}, time.Millisecond, 4500 * time.Millisecond, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.options.MaxWaitTime, c.options.OnBatchFailed = SendAtOnce, func(context.Context, *Batch) {}
				c.options.Retry = RetryOptions{TryTimeout: 5 * time.Second, Policy: func(f FailedTry) (time.Duration, bool) { return c.again, f.Failures < 2 }}
				o, err := c.options.withDefaults()
				if err != nil {
					t.Fatal(err)
				}
				peer := scripted.New(t, 1)
				o.Logger = cmp.Or(o.Logger, scripted.Unlogged)
				p := mustNewProducer(t, "test.example", detachingHub{peer}, o)
				enqueue(t, p, "0", "first")
				synctest.Wait()
				given := p.directory.table.Load().partitions[0].link.(*detachingLink).given
				time.Sleep(c.second)
				enqueue(t, p, "0", "second")
				_ = p.Flush(t.Context())
				if got := peer.StoredIn("0"); len(got) != 1 {
					t.Errorf("the other batches are stored as %v", got)
				}
				select {
				case <-given:
					if !c.detached {
						t.Error("the link was given up")
					}
				default:
					if c.detached {
						t.Error("the link was kept, though a new one might have given credit")
					}
				}
				_ = p.Close(t.Context())
			})
		})
	}
}
