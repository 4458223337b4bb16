package trial

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// An exit ends the goroutine that calls it, as t.FailNow does in a fake. Only the first calls do
// so.
type exit struct {
	times int32 // negative: always
	calls atomic.Int32
}

func (x *exit) call() {
	if n := x.calls.Add(1); x.times < 0 || n <= x.times {
		runtime.Goexit()
	}
}

// An ending is a function of the application that ends the goroutine on which it is called.
type ending struct {
	function  string
	goroutine string // on which, or for which, it is called

	options func(o *eventhubs.Options, x *exit)
	// The hook's nth counts the operations of a kind; nil: a healthy service.
	hook   func(op emulator.Operation, nth int) emulator.Action
	server func(o *emulator.Options)

	// The handler of stored events enqueues, too.
	fromHandler bool
	enqueue     func(g *ended, options *eventhubs.Event) error // nil: Enqueue
	// meanwhile runs after the enqueues and before the Flush; nil: nothing.
	meanwhile func(g *ended, x *exit)

	// These fields say what becomes of the first wave's events when the function never returns.
	fails   bool   // all or some of them, with an error that names the function
	open    bool   // that depends on how far a connection comes
	refused bool   // some or all of them are not accepted
	because string // their errors say this, and do not name the function
}

// An ended is a run with such a function.
type ended struct {
	*testing.T
	server *emulator.Server
	p      *eventhubs.BufferedProducer

	mu         sync.Mutex // guards the fields below
	deliveries map[string]*eventhubs.Delivery
	accepted   map[string]bool // Enqueue has returned nil
	told       map[string]int  // by handlers
	log        strings.Builder
}

// Any function may end its goroutine. Every accepted event still has its outcome once, for its
// Delivery and its handler. Flush and Close return, the room is free, and later events are stored.
func TestAFunctionThatEndsItsGoroutineEndsNothingElse(t *testing.T) {
	for _, e := range endings() {
		for _, times := range []int32{1, 3, -1} {
			name := fmt.Sprintf("%s/%s/%d times", e.function, e.goroutine, times)
			if times < 0 {
				name = fmt.Sprintf("%s/%s/always", e.function, e.goroutine)
			}
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { e.run(t, &exit{times: times}) })
			})
		}
	}
}

func (e ending) run(t *testing.T, x *exit) {
	g := &ended{T: t, deliveries: map[string]*eventhubs.Delivery{}, accepted: map[string]bool{}, told: map[string]int{}}
	var nth [10]atomic.Int32
	so := &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(4), Logger: slog.New(slog.DiscardHandler),
		Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
			if n := nth[op.Kind].Add(1); e.hook != nil {
				return e.hook(op, int(n))
			}
			return emulator.Pass()
		}}
	if e.server != nil {
		e.server(so)
	}
	server, err := emulator.New(so)
	if err != nil {
		t.Fatal(err)
	}
	g.server = server
	o := &eventhubs.Options{
		DeliveryTimeout: 3 * time.Minute, Retry: eventhubs.RetryOptions{MaxRetries: 4}, PartitionRefreshInterval: -1,
		OnBatchSucceeded: g.note, OnBatchFailed: g.note, Logger: slog.New(slog.NewTextHandler(g, nil)),
		Connection: eventhubs.ConnectionOptions{NewWebSocketConn: func(ctx context.Context, _ string) (net.Conn, error) {
			return server.Dial(ctx)
		}},
	}
	if e.fromHandler {
		o.OnBatchSucceeded = g.enqueueFrom
	}
	e.options(o, x)
	// TLS needs the dialer, and there is no TLS below a WebSocket.
	if dial := o.Connection.DialContext; dial != nil {
		o.Connection.NewWebSocketConn = nil
		config := server.TLSConfig()
		config.ServerName = "emulator.test"
		if own := o.Connection.TLSConfig; own != nil {
			config.VerifyConnection = own.VerifyConnection
		}
		o.Connection.TLSConfig = config
		o.Connection.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			if _, err := dial(ctx, "", ""); err != nil {
				return nil, err
			}
			return server.Dial(ctx)
		}
	}
	var credential azcore.TokenCredential = world.FakeCredential(func() {})
	if e.function == "TokenCredential.GetToken" {
		credential = world.FakeCredential(x.call)
	}
	if g.p, err = eventhubs.NewBufferedProducer("emulator.test", "hub", credential, o); err != nil {
		t.Fatal(err)
	}

	g.wave(e, "first")
	if e.meanwhile != nil {
		e.meanwhile(g, x)
	}
	g.within("Flush", func() { _ = g.p.Flush(t.Context()) })
	time.Sleep(time.Minute)
	if x.calls.Load() == 0 {
		t.Error("the function was not called")
	}
	g.judge()
	switch because, failed := g.failures(cmp.Or(e.because, e.function+" ended its goroutine")); {
	case x.times < 0 && e.fails && !because:
		t.Errorf("%d events failed, and no error says why", failed)
	case x.times < 0 && !e.fails && !e.open && failed > 0:
		t.Errorf("%d events failed", failed)
	}
	if len(g.accepted) == 0 && !e.refused {
		t.Error("no event was accepted")
	}

	if x.times > 0 { // it returns from now on, and everything is as if it always had
		x.calls.Store(x.times)
		g.wave(e, "second")
		g.within("Flush", func() {
			if err := g.p.Flush(t.Context()); err != nil {
				t.Errorf("the later Flush returned %v", err)
			}
		})
		time.Sleep(time.Minute)
		for name, d := range g.deliveries {
			if o := d.Outcome(); strings.HasPrefix(name, "second") && o.Storage != eventhubs.Stored {
				t.Errorf("the outcome of %s is %v, %v", name, o.Storage, o.Err)
			}
		}
		g.judge()
	} else {
		g.wave(e, "last") // for Close
	}
	g.within("Close", func() { _ = g.p.Close(t.Context()) })
	g.judge()
	if s := g.p.Stats(); s.BufferedEvents != 0 || s.BufferedBytes != 0 || s.WaitingCallers != 0 {
		t.Errorf("%d events, %d bytes and %d callers are left", s.BufferedEvents, s.BufferedBytes, s.WaitingCallers)
	}
	if x.times < 0 && e.logged() && !strings.Contains(g.log.String(), e.function+" ended its goroutine") {
		t.Errorf("nothing in the log names %s:\n%s", e.function, g.log.String())
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
}

// logged reports whether the end of the function is only logged.
func (e ending) logged() bool {
	onCallers := e.goroutine == "Enqueue"
	return !onCallers && !e.fromHandler && (strings.HasPrefix(e.function, "Trace.") || strings.HasPrefix(e.function, "Options.OnBatch"))
}

// Write takes the log's lines.
func (g *ended) Write(line []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.log.Write(line)
}

func (g *ended) note(_ context.Context, b *eventhubs.Batch) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for tag := range b.Tags() {
		g.told[tag.(string)]++
	}
}

// fromHandler marks the context of an event that a handler enqueues.
type fromHandler struct{}

// enqueueFrom calls note, and then enqueues one event for each event that did not come from itself.
func (g *ended) enqueueFrom(ctx context.Context, b *eventhubs.Batch) {
	g.note(ctx, b)
	for tag := range b.Tags() {
		name := tag.(string) + ", again"
		if strings.HasSuffix(tag.(string), "again") {
			continue
		}
		d := new(eventhubs.Delivery)
		g.mu.Lock()
		g.deliveries[name] = d
		g.mu.Unlock()
		_ = g.p.Enqueue(context.WithValue(ctx, fromHandler{}, true), &eventhubs.Event{Body: []byte("x"), PartitionKey: "from a handler", Delivery: d, Tag: name})
	}
}

// within runs a call on a goroutine of its own, which the call may end. It fails if the call
// neither returns nor ends the goroutine within an hour.
func (g *ended) within(call string, f func()) {
	g.Helper()
	over := make(chan struct{})
	go func() { // ends with f
		defer close(over)
		f()
	}()
	select {
	case <-over:
	case <-time.After(time.Hour):
		g.Fatalf("%s has not returned within an hour", call)
	}
}

// wave enqueues events in every way, each on a goroutine of its own.
func (g *ended) wave(e ending, wave string) {
	for i, o := range []eventhubs.Event{
		{PartitionKey: "a"}, {PartitionKey: "b"}, {PartitionKey: "a"}, {PartitionID: "1"}, {PartitionID: "1"}, {}, {},
	} {
		o.Delivery = new(eventhubs.Delivery)
		name := fmt.Sprint(wave, "-", i)
		o.Tag = name
		g.mu.Lock()
		g.deliveries[name] = o.Delivery
		g.mu.Unlock()
		g.within("Enqueue", func() {
			enqueue := e.enqueue
			if enqueue == nil {
				enqueue = func(g *ended, o *eventhubs.Event) error {
					return g.p.Enqueue(g.Context(), world.With(world.Event("x"), o))
				}
			}
			if err := enqueue(g, &o); err == nil {
				g.accepted[name] = true
			}
		})
	}
}

// judge checks that each accepted event has its one outcome. An event whose call was neither
// accepted nor refused may have none.
func (g *ended) judge() {
	g.Helper()
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	for name, d := range g.deliveries {
		ended := d.Outcome().Storage != 0
		if ended != (g.told[name] == 1) || g.told[name] > 1 {
			g.Errorf("the handlers got %d outcomes of %s, and its Delivery has an outcome: %v", g.told[name], name, ended)
		}
		if g.accepted[name] && !ended {
			g.Errorf("%s was accepted and has no outcome", name)
		}
	}
}

// failures returns how many events have failed, and whether the error of one has that text.
func (g *ended) failures(text string) (found bool, failed int) {
	for _, d := range g.deliveries {
		if o := d.Outcome(); o.Storage != eventhubs.Pending && o.Err != nil {
			failed++
			found = found || strings.Contains(o.Err.Error(), text)
		}
	}
	return found, failed
}
