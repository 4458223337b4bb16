package connection

import (
	"bytes"
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

const testHub = "events"

// neverIdle is for tests of long silences in which the service must end nothing.
var neverIdle = emulator.Idle{Sender: -1, Connection: -1, NewConnection: -1}

// bench is an emulator and a connection to it, both in the caller's bubble.
type bench struct {
	*Conn
	server *emulator.Server
	tap    *tap
}

// inBubble runs a test in a synctest bubble with an emulator of 4 partitions. The bubble fails the
// test if a goroutine is left.
func inBubble(t *testing.T, options emulator.Options, test func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, options)
		defer b.close(t)
		test(t, b)
	})
}

func newBench(t *testing.T, options emulator.Options) *bench {
	t.Helper()
	options.Addr = emulator.InMemory
	tap := &tap{next: options.Hook, counts: make(map[emulator.Kind]int)}
	options.Hook = tap.hook
	server, err := emulator.New(&options)
	if err != nil {
		t.Fatal(err)
	}
	return &bench{server: server, tap: tap, Conn: New(Config{
		Namespace: "emulator.test",
		Plain:     true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return server.Dial(ctx)
		},
		Tokens: TokensFromKey("rule", "key"),
	})}
}

func (b *bench) close(t *testing.T) {
	if err := b.Conn.Close(context.Background()); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := b.server.Close(); err != nil {
		t.Errorf("closing the emulator: %v", err)
	}
}

// stored returns the number of events in a partition.
func (b *bench) stored(partitionID string) int {
	return b.server.Counts(testHub, partitionID).Events
}

// tap counts a server's operations, and asks the next hook.
type tap struct {
	mu     sync.Mutex // guards the fields below
	next   emulator.Hook
	counts map[emulator.Kind]int
}

func (p *tap) hook(ctx context.Context, op emulator.Operation) emulator.Action {
	p.mu.Lock()
	p.counts[op.Kind]++
	next := p.next
	p.mu.Unlock()
	if next == nil {
		return emulator.Pass()
	}
	return next(ctx, op)
}

func (p *tap) set(next emulator.Hook) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = next
}

func (p *tap) count(kind emulator.Kind) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[kind]
}

// once makes a hook that applies an action to the first operation of a kind.
func once(kind emulator.Kind, action emulator.Action) emulator.Hook {
	var mu sync.Mutex
	done := false
	return func(_ context.Context, op emulator.Operation) emulator.Action {
		mu.Lock()
		defer mu.Unlock()
		if op.Kind != kind || done {
			return emulator.Pass()
		}
		done = true
		return action
	}
}

// event returns the encoding of a message with one data section.
func event(body string) []byte {
	return append([]byte{0x00, 0x53, 0x75, 0xb0, byte(len(body) >> 24), byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
}

// batch returns a batch of events with bodies of bodySize bytes.
func batch(events, bodySize int) [][]byte {
	one := event(string(bytes.Repeat([]byte{'x'}, bodySize)))
	return BatchOf(slices.Repeat([][]byte{one}, events)...)
}

// send is a try as a producer makes it: a link that had ended before is replaced within the try.
func send(ctx context.Context, s *Sender, batch [][]byte) Result {
	result := s.Send(ctx, batch)
	if result.Stale {
		return s.Send(ctx, batch)
	}
	return result
}

func wantResult(t *testing.T, got Result, outcome Outcome, code Code) *Error {
	t.Helper()
	if got.Outcome != outcome {
		t.Errorf("outcome %v (%v), want %v", got.Outcome, got.Err, outcome)
	}
	if outcome == Accepted {
		if got.Err != nil {
			t.Errorf("error %v, want none", got.Err)
		}
		return nil
	}
	return wantCode(t, got.Err, code)
}

func wantCode(t *testing.T, err error, code Code) *Error {
	t.Helper()
	e, ok := err.(*Error)
	if !ok || e.Code != code {
		t.Fatalf("error %T %v, want an *Error with code %s", err, err, code)
	}
	return e
}

// wantElapsed checks virtual time.
func wantElapsed(t *testing.T, start time.Time, want time.Duration) {
	t.Helper()
	if got := time.Since(start); got != want {
		t.Errorf("it took %v, want %v", got, want)
	}
}
