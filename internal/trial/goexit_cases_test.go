package trial

import (
	"context"
	"crypto/tls"
	"iter"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// fakeState keeps nothing.
type fakeState struct{ load, save func() }

func (s fakeState) Load(context.Context, eventhubs.ProducerKey) (eventhubs.ProducerID, error) {
	s.load()
	return eventhubs.ProducerID{}, nil
}

func (s fakeState) Save(context.Context, eventhubs.ProducerKey, eventhubs.ProducerID, eventhubs.ProducerID) error {
	s.save()
	return nil
}

// A fakeLog is a slog.Handler whose methods a test may replace.
type fakeLog struct{ enabled, handle, with func() }

func (l fakeLog) Enabled(context.Context, slog.Level) bool {
	if l.enabled != nil {
		l.enabled()
	}
	return true
}

func (l fakeLog) Handle(context.Context, slog.Record) error {
	if l.handle != nil {
		l.handle()
	}
	return nil
}

func (l fakeLog) WithAttrs([]slog.Attr) slog.Handler {
	if l.with != nil {
		l.with()
	}
	return l
}

func (l fakeLog) WithGroup(string) slog.Handler { return l }

// A fakeConn is a net.Conn whose methods a test may replace.
type fakeConn struct {
	net.Conn
	read, write, close func()
}

func (c fakeConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read()
	return n, err
}

func (c fakeConn) Write(b []byte) (int, error) {
	c.write()
	return c.Conn.Write(b)
}

func (c fakeConn) Close() error {
	defer c.Conn.Close()
	c.close()
	return nil
}

// unknown has the service refuse the list of partitions at first.
func unknown(action emulator.Action, times int) func(emulator.Operation, int) emulator.Action {
	return func(op emulator.Operation, nth int) emulator.Action {
		if op.Kind == emulator.KindManagement && nth <= times {
			return action
		}
		return emulator.Pass()
	}
}

// refusing has the service answer the first transfers with an action.
func refusing(action emulator.Action, times int) func(emulator.Operation, int) emulator.Action {
	return func(op emulator.Operation, nth int) emulator.Action {
		if op.Kind == emulator.KindTransfer && nth <= times {
			return action
		}
		return emulator.Pass()
	}
}

var (
	failing = emulator.Reject("amqp:internal-error", "failing")
	busy    = emulator.Reject("com.microsoft:server-busy", "busy")
	never   = emulator.Reject("amqp:not-allowed", "never")
	slowly  = emulator.Pass().After(time.Second)
)

func noMore(o *eventhubs.Options) { o.Retry.MaxRetries = -1 }

// elsewhere enqueues an event for a partition that does not exist.
func elsewhere(g *ended, _ *exit) {
	d := new(eventhubs.Delivery)
	g.deliveries["elsewhere"] = d
	if err := g.p.Enqueue(g.Context(), &eventhubs.Event{Body: []byte("x"), PartitionID: "99", Delivery: d, Tag: "elsewhere"}); err != nil {
		g.Error(err)
	}
	g.accepted["elsewhere"] = true
}

// connecting calls Connect, which must return. It returns an error if it needs the function that
// ends the goroutine.
func connecting(fails bool) func(*ended, *exit) {
	return func(g *ended, x *exit) {
		synctest.Wait() // discovery asks first
		returned, err := false, error(nil)
		g.within("Connect", func() {
			err = g.p.Connect(g.Context(), &eventhubs.ConnectOptions{Links: true})
			returned = true
		})
		switch {
		case !returned:
			g.Error("Connect ended the goroutine that called it")
		case fails && x.times < 0 && (err == nil || !strings.Contains(err.Error(), "ended its goroutine")):
			g.Errorf("Connect returned %v", err)
		case !fails && err != nil:
			g.Errorf("Connect returned %v", err)
		}
	}
}

func endings() (all []ending) {
	add := func(e ending) { all = append(all, e) }
	trace := func(set func(t *eventhubs.Trace, x *exit)) func(*eventhubs.Options, *exit) {
		return func(o *eventhubs.Options, x *exit) {
			o.Trace = &eventhubs.Trace{}
			set(o.Trace, x)
		}
	}

	policy := func(o *eventhubs.Options, x *exit) {
		o.Retry.Policy = func(eventhubs.FailedTry) (time.Duration, bool) {
			x.call()
			return time.Second, true
		}
	}
	add(ending{function: "Options.Retry.Policy", goroutine: "a sender's", options: policy, hook: refusing(failing, 8), fails: true})
	add(ending{function: "Options.Retry.Policy", goroutine: "discovery's", options: policy, hook: unknown(failing, 4), fails: true})

	sealed := trace(func(t *eventhubs.Trace, x *exit) { t.Sealed = func(eventhubs.TracedBatch) { x.call() } })
	sending := trace(func(t *eventhubs.Trace, x *exit) { t.Sending = func(eventhubs.TracedBatch) { x.call() } })
	retrying := trace(func(t *eventhubs.Trace, x *exit) {
		t.Retrying = func(eventhubs.TracedFailure) { x.call() }
	})
	throttled := trace(func(t *eventhubs.Trace, x *exit) {
		t.Throttled = func(eventhubs.TracedFailure) { x.call() }
	})
	settled := trace(func(t *eventhubs.Trace, x *exit) {
		t.Settled = func(eventhubs.TracedOutcome) { x.call() }
	})
	add(ending{function: "Trace.Sealed", goroutine: "a sender's", options: sealed})
	add(ending{function: "Trace.Sending", goroutine: "a sender's", options: sending})
	add(ending{function: "Trace.Retrying", goroutine: "a sender's", options: retrying, hook: refusing(failing, 4)})
	add(ending{function: "Trace.Retrying", goroutine: "discovery's", options: retrying, hook: unknown(failing, 4)})
	add(ending{function: "Trace.Throttled", goroutine: "a sender's", options: throttled, hook: refusing(busy, 4)})
	add(ending{function: "Trace.Throttled", goroutine: "discovery's", options: throttled, hook: unknown(busy, 4)})
	add(ending{function: "Trace.Settled", goroutine: "a sender's", options: settled})
	handled := trace(func(t *eventhubs.Trace, x *exit) { t.Handled = func(eventhubs.TracedHandler) { x.call() } })
	add(ending{function: "Trace.Handled", goroutine: "a sender's", options: handled})
	created := trace(func(t *eventhubs.Trace, x *exit) { t.Created = func(eventhubs.TracedProducer) { x.call() } })
	add(ending{function: "Trace.Created", goroutine: "the constructor", options: created})
	connected := trace(func(t *eventhubs.Trace, x *exit) { t.Connected = func(eventhubs.TracedConnection) { x.call() } })
	disconnected := trace(func(t *eventhubs.Trace, x *exit) { t.Disconnected = func(eventhubs.TracedConnection) { x.call() } })
	add(ending{function: "Trace.Connected", goroutine: "a connection's", options: connected})
	add(ending{function: "Trace.Disconnected", goroutine: "a connection's", options: disconnected, hook: refusing(emulator.Cut(), 4)})

	// These events fail while the partitions are not known, each in its own way.
	succeeded := func(o *eventhubs.Options, x *exit) {
		note := o.OnBatchSucceeded
		o.OnBatchSucceeded = func(ctx context.Context, b *eventhubs.Batch) { note(ctx, b); x.call() }
	}
	failed := func(o *eventhubs.Options, x *exit) {
		note := o.OnBatchFailed
		o.OnBatchFailed = func(ctx context.Context, b *eventhubs.Batch) { note(ctx, b); x.call() }
	}
	add(ending{function: "Options.OnBatchSucceeded", goroutine: "a sender's", options: succeeded})
	add(ending{function: "Options.OnBatchFailed", goroutine: "a sender's", options: failed, hook: refusing(never, 2), fails: true, because: "never"})
	for name, options := range map[string]func(*eventhubs.Options, *exit){"Trace.Settled": settled, "Options.OnBatchFailed": failed} {
		hopeless := func(o *eventhubs.Options, x *exit) { options(o, x); noMore(o) }
		add(ending{function: name, goroutine: "discovery's", options: hopeless, hook: unknown(failing, 1), fails: true, because: "failing"})
		add(ending{function: name, goroutine: "adopt's", options: options, hook: unknown(slowly, 9), meanwhile: elsewhere, fails: true, because: "no partition"})
		add(ending{function: name, goroutine: "Clear's", options: options, hook: unknown(slowly, 9), meanwhile: func(g *ended, _ *exit) {
			g.within("Clear", func() { g.p.Clear(context.Background()) })
		}, fails: true, because: "cleared"})
	}

	load := func(o *eventhubs.Options, x *exit) {
		o.EnableIdempotentRetries, o.ProducerStore = true, fakeState{x.call, func() {}}
	}
	save := func(o *eventhubs.Options, x *exit) {
		o.EnableIdempotentRetries, o.ProducerStore = true, fakeState{func() {}, x.call}
	}
	for name, options := range map[string]func(*eventhubs.Options, *exit){"ProducerStore.Load": load, "ProducerStore.Save": save} {
		add(ending{function: name, goroutine: "a sender's", options: options, fails: true})
		add(ending{function: name, goroutine: "Connect's", options: options, meanwhile: connecting(true), fails: true})
	}

	partitionForKey := func(o *eventhubs.Options, x *exit) {
		o.KeyPartitioner = func(eventhubs.KeyPlacement) int { x.call(); return 2 }
	}
	add(ending{function: "Options.KeyPartitioner", goroutine: "discovery's", options: partitionForKey, hook: unknown(slowly, 9), fails: true})
	add(ending{function: "Options.KeyPartitioner", goroutine: "Connect's", options: partitionForKey, hook: unknown(emulator.Silence(), 1), meanwhile: connecting(false), fails: true})
	known := func(e ending) ending { // the partitions are known when the events come
		e.options = func(options func(*eventhubs.Options, *exit)) func(*eventhubs.Options, *exit) {
			return func(o *eventhubs.Options, x *exit) { options(o, x) }
		}(e.options)
		enqueue := e.enqueue
		e.enqueue = func(g *ended, o *eventhubs.Event) error {
			if err := g.p.Connect(g.Context(), nil); err != nil {
				g.Error(err)
			}
			if enqueue != nil {
				return enqueue(g, o)
			}
			return g.p.Enqueue(g.Context(), world.With(world.Event("x"), o))
		}
		e.refused = true
		return e
	}
	add(known(ending{function: "Options.KeyPartitioner", goroutine: "Enqueue", options: partitionForKey}))
	add(ending{function: "Options.KeyPartitioner", goroutine: "PartitionForKey", options: partitionForKey, meanwhile: func(g *ended, _ *exit) {
		g.within("PartitionForKey", func() { _, _ = g.p.PartitionForKey(g.Context(), "a") })
	}, fails: true})

	encoding := trace(func(t *eventhubs.Trace, x *exit) {
		t.Encoding = func(context.Context, eventhubs.TracedEncoding) { x.call() }
	})
	accepted := trace(func(t *eventhubs.Trace, x *exit) {
		t.Accepted = func(context.Context, eventhubs.TracedEvent) { x.call() }
	})
	message := func(g *ended, o *eventhubs.Event) error {
		return g.p.Enqueue(g.Context(), world.With(&eventhubs.Event{AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{Data: [][]byte{[]byte("x")}}}}, o))
	}
	publish := func(g *ended, o *eventhubs.Event) error {
		return world.OutcomeErr(g.p.Publish(g.Context(), world.With(world.Event("x"), o)))
	}
	try := func(g *ended, o *eventhubs.Event) error {
		return g.p.TryEnqueue(g.Context(), world.With(world.Event("x"), o))
	}
	for name, options := range map[string]func(*eventhubs.Options, *exit){"Trace.Encoding": encoding, "Trace.Accepted": accepted} {
		for _, enqueue := range []func(*ended, *eventhubs.Event) error{nil, message, publish, try} {
			add(ending{function: name, goroutine: "Enqueue", options: options, enqueue: enqueue, refused: true})
			add(known(ending{function: name, goroutine: "Enqueue", options: options, enqueue: enqueue}))
		}
	}
	// When a handler's own enqueues call these functions, they end the handler.
	for name, set := range map[string]func(o *eventhubs.Options, x *exit){
		"Trace.Encoding": trace(func(t *eventhubs.Trace, x *exit) {
			t.Encoding = func(ctx context.Context, _ eventhubs.TracedEncoding) {
				if ctx.Value(fromHandler{}) != nil {
					x.call()
				}
			}
		}),
		"Trace.Accepted": trace(func(t *eventhubs.Trace, x *exit) {
			t.Accepted = func(ctx context.Context, _ eventhubs.TracedEvent) {
				if ctx.Value(fromHandler{}) != nil {
					x.call()
				}
			}
		}),
		"Options.KeyPartitioner": func(o *eventhubs.Options, x *exit) {
			o.KeyPartitioner = func(k eventhubs.KeyPlacement) int {
				if k.Key == "from a handler" {
					x.call()
				}
				return 2
			}
		},
	} {
		add(ending{function: name, goroutine: "a handler's", options: set, fromHandler: true})
	}

	dial := func(o *eventhubs.Options, x *exit) {
		o.Connection.DialContext = func(context.Context, string, string) (net.Conn, error) { x.call(); return nil, nil }
	}
	verify := func(o *eventhubs.Options, x *exit) {
		o.Connection.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, nil }
		o.Connection.TLSConfig = &tls.Config{VerifyConnection: func(tls.ConnectionState) error { x.call(); return nil }}
	}
	webSocket := func(o *eventhubs.Options, x *exit) {
		open := o.Connection.NewWebSocketConn
		o.Connection.NewWebSocketConn = func(ctx context.Context, url string) (net.Conn, error) {
			x.call()
			return open(ctx, url)
		}
	}
	conn := func(set func(c *fakeConn, x *exit)) func(*eventhubs.Options, *exit) {
		return func(o *eventhubs.Options, x *exit) {
			open := o.Connection.NewWebSocketConn
			o.Connection.NewWebSocketConn = func(ctx context.Context, url string) (net.Conn, error) {
				raw, err := open(ctx, url)
				c := fakeConn{raw, func() {}, func() {}, func() {}}
				set(&c, x)
				return c, err
			}
		}
	}
	later := func(x *exit) func() { // not while the connection is being opened
		var calls atomic.Int32
		return func() {
			if calls.Add(1) > 6 {
				x.call()
			}
		}
	}
	add(ending{function: "TokenCredential.GetToken", goroutine: "a connection's", options: func(*eventhubs.Options, *exit) {}, fails: true})
	add(ending{function: "ConnectionOptions.DialContext", goroutine: "a connection's", options: dial, fails: true})
	add(ending{function: "ConnectionOptions.TLSConfig", goroutine: "a connection's", options: verify, fails: true, because: "ConnectionOptions.TLSConfig"})
	add(ending{function: "ConnectionOptions.NewWebSocketConn", goroutine: "a connection's", options: webSocket, fails: true})
	add(ending{function: "net.Conn", goroutine: "reading, a dial's", options: conn(func(c *fakeConn, x *exit) { c.read = x.call }), fails: true})
	add(ending{function: "net.Conn", goroutine: "writing, a dial's", options: conn(func(c *fakeConn, x *exit) { c.write = x.call }), fails: true})
	add(ending{function: "net.Conn", goroutine: "reading, the engine's", options: conn(func(c *fakeConn, x *exit) { c.read = later(x) }), open: true})
	add(ending{function: "net.Conn", goroutine: "writing, the engine's", options: conn(func(c *fakeConn, x *exit) { c.write = later(x) }), open: true})
	add(ending{function: "net.Conn", goroutine: "closing", options: conn(func(c *fakeConn, x *exit) { c.close = x.call }), hook: refusing(emulator.Cut(), 4)})

	logger := func(set func(l *fakeLog, x *exit)) func(*eventhubs.Options, *exit) {
		return func(o *eventhubs.Options, x *exit) {
			var l fakeLog
			set(&l, x)
			o.Logger = slog.New(l)
		}
	}
	for name, set := range map[string]func(l *fakeLog, x *exit){
		"slog.Handler.Enabled":   func(l *fakeLog, x *exit) { l.enabled = x.call },
		"slog.Handler.Handle":    func(l *fakeLog, x *exit) { l.handle = x.call },
		"slog.Handler.WithAttrs": func(l *fakeLog, x *exit) { l.with = x.call },
	} {
		add(ending{function: name, goroutine: "a sender's", options: logger(set), hook: refusing(failing, 4)})
		add(ending{function: name, goroutine: "discovery's", options: logger(set), hook: unknown(failing, 4)})
		add(ending{function: name, goroutine: "a connection's", options: logger(set), hook: refusing(emulator.Cut(), 4)})
		add(ending{function: name, goroutine: "Connect's", options: logger(set), hook: unknown(slowly, 1), meanwhile: connecting(false)})
		add(ending{function: name, goroutine: "refresh's", options: func(o *eventhubs.Options, x *exit) {
			logger(set)(o, x)
			o.PartitionRefreshInterval = time.Second
		}, hook: func(op emulator.Operation, nth int) emulator.Action {
			if op.Kind == emulator.KindManagement && nth > 1 {
				return failing
			}
			return emulator.Pass()
		}, meanwhile: func(g *ended, _ *exit) {
			time.Sleep(time.Minute)
			g.within("Enqueue", func() { _ = g.p.Enqueue(g.Context(), &eventhubs.Event{Body: []byte("x"), Tag: "due"}) })
		}})
	}

	// An iterator runs on the caller's own goroutine.
	set := func(x *exit) iter.Seq2[*eventhubs.Event, error] {
		return func(yield func(*eventhubs.Event, error) bool) {
			for range 3 {
				if !yield(&eventhubs.Event{Body: []byte("x"), Tag: "set"}, nil) {
					return
				}
			}
			x.call()
		}
	}
	add(ending{function: "the iterator of EnqueueAll", goroutine: "EnqueueAll", options: func(*eventhubs.Options, *exit) {}, meanwhile: func(g *ended, x *exit) {
		g.within("EnqueueAll", func() { _, _ = g.p.EnqueueAll(g.Context(), set(x)) })
	}})
	return slices.Clip(all)
}
