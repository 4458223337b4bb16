package trial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// The connection writes a batch from the batch's own memory. A try may end during that write.

func TestABatchIsNotTriedAgainBeforeTheConnectionHasLetGo(t *testing.T) {
	nothingBeforeItLetsGo(t, func(s scripted.Sent) connection.Result {
		if s.Try > 1 {
			return connection.Result{Outcome: connection.Accepted}
		}
		return scripted.Transient(connection.Unknown)
	})
}

func TestABatchThatIsTooLargeIsNotCutBeforeTheConnectionHasLetGo(t *testing.T) {
	nothingBeforeItLetsGo(t, func(s scripted.Sent) connection.Result {
		if len(s.Bodies) == 1 {
			return connection.Result{Outcome: connection.Accepted}
		}
		return connection.Result{Outcome: connection.Rejected, Err: &connection.Error{Code: connection.CodeTooLarge, Err: errors.New("too large")}}
	})
}

// nothingBeforeItLetsGo runs a hub that holds the memory of each batch that it does not store.
func nothingBeforeItLetsGo(t *testing.T, answer func(scripted.Sent) connection.Result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := scripted.New(t, 1)
		held := make(chan struct{})
		p.Answer = func(s scripted.Sent) connection.Result {
			r := answer(s)
			if r.Err != nil {
				r.Held = held
			}
			return r
		}
		producer := world.Over(p, eventhubs.Options{})
		world.Enqueue(t, producer, "0", "a", "b")
		time.Sleep(5 * time.Minute)
		if n := len(p.Sent()); n != 1 {
			t.Errorf("%d tries while the connection writes from the batch's memory, want the first one only", n)
		}
		close(held)
		time.Sleep(time.Minute)
		if got := fmt.Sprint(p.StoredIn("0")); got != "[a b]" {
			t.Errorf("stored %s when the connection has let go, want [a b]", got)
		}
	})
}

// TestWhatTheConnectionHoldsHasItsOutcomeInTime has a connection that never lets go of a batch. Its
// outcome comes in time, its room is given back, and its memory is not used again.
func TestWhatTheConnectionHoldsHasItsOutcomeInTime(t *testing.T) {
	// The next batch would take the memory that was given back.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	synctest.Test(t, func(t *testing.T) {
		p := scripted.New(t, 1)
		var written [][]byte // the first batch, in the producer's memory
		p.Answer = func(s scripted.Sent) connection.Result {
			if s.Bodies[0] != "held" {
				return connection.Result{Outcome: connection.Accepted}
			}
			written = slices.Clone(s.Batch)
			r := scripted.Transient(connection.Unknown)
			r.Held = make(chan struct{})
			return r
		}
		producer := world.Over(p, eventhubs.Options{DeliveryTimeout: time.Minute, FlushOmitsTold: true})
		var d eventhubs.Delivery
		if err := producer.Enqueue(t.Context(), &eventhubs.Event{Body: []byte("held"), PartitionID: "0", Delivery: &d}); err != nil {
			t.Fatal(err)
		}
		<-d.Done()
		if o := d.Outcome(); o.Storage != eventhubs.PossiblyStored || !errors.Is(o.Err, eventhubs.ErrDeliveryTimeout) || scripted.Now() != time.Minute {
			t.Errorf("after %v the outcome is %v, want possibly stored by the DeliveryTimeout of a minute", scripted.Now(), o)
		}
		if s := producer.Stats(); s.BufferedEvents != 0 || s.BufferedBytes != 0 {
			t.Errorf("%d events in %d bytes are buffered, want none: the room is given back with the outcome", s.BufferedEvents, s.BufferedBytes)
		}
		was := bytes.Clone(slices.Concat(written...))
		for range 100 { // far more events than it takes to use the memory again
			world.Enqueue(t, producer, "0", strings.Repeat("x", 3000))
		}
		if err := producer.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(slices.Concat(written...), was) {
			t.Error("the batch's memory was used again, though the connection still writes it")
		}
	})
}

// TestAnOutcomeCountsThoughItsWriteHasNotReturned has a network that takes a batch, and then stands
// still. The service's answer arrives, and the Write does not return.
func TestAnOutcomeCountsThoughItsWriteHasNotReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, err := emulator.New(&emulator.Options{Addr: emulator.InMemory})
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		producer, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("events"), "", &eventhubs.Options{
			Logger: scripted.Unlogged, Retry: eventhubs.RetryOptions{TryTimeout: 5 * time.Second},
			Connection: eventhubs.ConnectionOptions{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				nc, err := server.Dial(ctx)
				return &standingConn{Conn: nc, closed: make(chan struct{})}, err
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		outcome, err := producer.Publish(t.Context(), &eventhubs.Event{Body: make([]byte, 20_000), PartitionID: "0"})
		if outcome.Storage != eventhubs.Stored || err != nil || outcome.Tries != 1 {
			t.Errorf("the outcome is %v after %d tries, %v, want stored by the first", outcome.Storage, outcome.Tries, err)
		}
		time.Sleep(time.Minute)
		stored := 0
		for range server.Events("events", "0") {
			stored++
		}
		if stored != 1 {
			t.Errorf("the event is stored %d times", stored)
		}
		if _, err := producer.Publish(t.Context(), &eventhubs.Event{Body: []byte("next"), PartitionID: "0"}); err != nil {
			t.Errorf("the next event: %v", err)
		}
		if err := producer.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A standingConn takes a large write, and returns from it only when it is closed.
type standingConn struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (c *standingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if len(b) > 10_000 {
		<-c.closed
	}
	return n, err
}

func (c *standingConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
