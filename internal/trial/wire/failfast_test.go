package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// A hopeless cause is one that, as far as anyone can know, will not pass by itself.
type hopeless struct {
	name  string
	code  eventhubs.Code
	state eventhubs.HealthState
	says  string // the advice in the error's text

	setup func(r *rig) // brings it about before the producer is made, or makes the producer
	mend  func(r *rig)
}

var hopelessCauses = []hopeless{
	{
		name: "missing hub", code: eventhubs.CodeNotFound, state: eventhubs.HealthUnreachable, says: "there is no such event hub in this namespace",
		setup: func(r *rig) {
			r.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
				if op.Hub == "" {
					return emulator.Pass()
				}
				return emulator.Reject("amqp:not-found", world.Tracked("The messaging entity could not be found."))
			})
		},
		mend: func(r *rig) { r.server.SetHook(nil) },
	},
	{
		name: "unknown host", code: eventhubs.CodeNotFound, state: eventhubs.HealthUnreachable, says: "check the namespace's name",
		setup: func(r *rig) {
			r.network.Block(&net.DNSError{Err: "no such host", Name: "nowhere.example", IsNotFound: true})
		},
		mend: func(r *rig) { r.network.Block(nil) },
	},
	{
		name: "forbidden", code: eventhubs.CodeUnauthorized, state: eventhubs.HealthUnauthorized, says: "the right Send is missing",
		setup: func(r *rig) {
			r.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
				if op.Kind == emulator.KindAttach && op.PartitionID != "" {
					return emulator.Reject("amqp:unauthorized-access", world.Tracked("Unauthorized access. 'Send' claim(s) are required to perform this operation."))
				}
				return emulator.Pass()
			})
		},
		mend: func(r *rig) { r.server.SetHook(nil) },
	},
	{
		name: "no token", code: eventhubs.CodeNoToken, state: eventhubs.HealthUnauthorized, says: "the credential gives no token",
		setup: func(r *rig) { r.withCredential(outage{0, time.Minute}) },
		mend:  func(r *rig) { time.Sleep(time.Minute) },
	},
	{
		name: "wrong certificate", code: eventhubs.CodeConnectionLost, state: eventhubs.HealthUnreachable, says: "certificate",
		setup: func(r *rig) {
			r.network.LeadTo(r.newServer())
			r.withCredential(outage{})
		},
		mend: func(r *rig) { r.network.LeadTo(r.server) },
	},
}

// A heard records the calls of a Trace.
type heard struct {
	mu      sync.Mutex // guards the fields below
	again   []error
	settled []eventhubs.Outcome
}

func (h *heard) trace() *eventhubs.Trace {
	return &eventhubs.Trace{
		Retrying: func(f eventhubs.TracedFailure) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.again = append(h.again, f.Err)
		},
		Settled: func(o eventhubs.TracedOutcome) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.settled = append(h.settled, o.Outcome)
		},
	}
}

func (h *heard) all() (again []error, settled []eventhubs.Outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.again), slices.Clone(h.settled)
}

// TestWhatCannotSucceedIsSeenAtOnce checks where a hopeless cause shows: in Connect's error, in
// Health, in the Trace and in one line of the log. It shows whether or not accepted events go on
// waiting.
func TestWhatCannotSucceedIsSeenAtOnce(t *testing.T) {
	for _, c := range hopelessCauses {
		for _, fast := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, ", FailFast ", fast), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { c.test(t, fast) })
			})
		}
	}
}

func (c *hopeless) test(t *testing.T, fast bool) {
	var told heard
	r := newRig(t, eventhubs.Options{FailFast: fast, Trace: told.trace()})
	c.setup(r)
	r.open()
	c.wantError(t, "Connect", r.p.Connect(t.Context(), &eventhubs.ConnectOptions{Links: true}))

	for _, id := range wirePartitions {
		for n := range 2 {
			r.enqueue(id, fmt.Sprint(id, "-", n))
		}
	}
	time.Sleep(3 * time.Second) // a few tries
	h := r.p.Health()
	c.wantError(t, "Health", h.Err)
	if line := r.log.line(); h.State != c.state || strings.TrimPrefix(line, "ready ") != c.state.String() {
		t.Errorf("Health is %v and the log says %q, want %v, once", h.State, line, c.state)
	}
	again, settled := told.all()
	if fast && (len(again) != 0 || len(settled) == 0) || !fast && (len(again) == 0 || len(settled) != 0) {
		t.Errorf("the Trace got %d further tries and %d outcomes", len(again), len(settled))
	}
	for _, o := range settled {
		c.wantError(t, "an Outcome", o.Err)
		if e, ok := errors.AsType[*eventhubs.Error](o.Err); ok && e.Tries != 1 || o.Storage != eventhubs.NotStored {
			t.Errorf("the Outcome is %v after %d tries, want not stored after one", o.Storage, e.Tries)
		}
	}
	for _, err := range again {
		c.wantError(t, "Trace.Retrying", err)
	}

	c.mend(r)
	time.Sleep(time.Minute)
	if fast {
		for _, id := range wirePartitions {
			r.enqueue(id, id+"-later")
		}
		time.Sleep(time.Second)
		r.judge(false, 2*len(wirePartitions))
		return
	}
	if r.p.Health().State != eventhubs.HealthReady {
		t.Errorf("Health is %v after the trouble", r.p.Health().State)
	}
	r.judge(false, 0)
}

func (c *hopeless) wantError(t *testing.T, where string, err error) {
	t.Helper()
	e, ok := errors.AsType[*eventhubs.Error](err)
	if !ok || e.Code != c.code || e.Transient || !strings.Contains(err.Error(), c.says) {
		t.Errorf("%s has %v, want code %q and the advice", where, err, c.code)
	}
}

// TestACloseThatHangsEndsWithin5Seconds checks that a Close waits no longer than that for answers
// of the service or the network.
func TestACloseThatHangsEndsWithin5Seconds(t *testing.T) {
	for _, c := range []struct {
		name   string
		shared bool // the connection is shared, so the producer closes only its links
		gone   bool // the network is gone
		want   time.Duration
	}{
		{"connection, unanswered", false, false, 0}, {"connection, no network", false, true, 0},
		{"links, unanswered", true, false, 5 * time.Second}, {"links, no network", true, true, 5 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, eventhubs.Options{})
				r.server.SetHook(func(context.Context, emulator.Operation) emulator.Action {
					return emulator.Pass().IgnoreClose().IgnoreDetach()
				})
				if c.shared {
					r.shareConnection()
				}
				r.open()
				for _, id := range wirePartitions {
					r.enqueue(id, id+"-0")
				}
				if err := r.p.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
				if c.gone {
					r.network.Swallow()
				}
				began := time.Now()
				r.judge(false, 0)
				if took := time.Since(began); took != c.want {
					t.Errorf("Close took %v, want %v", took, c.want)
				}
			})
		})
	}
}

// shareConnection gives the rig a producer on a shared connection.
func (r *rig) shareConnection() {
	shared, err := eventhubs.NewConnectionFromConnectionString(r.server.ConnectionString("hub"), &r.options.Connection)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = shared.Close(context.Background()) })
	r.options.Connection = eventhubs.ConnectionOptions{}
	if r.p, err = shared.NewBufferedProducer("", &r.options); err != nil {
		r.Fatal(err)
	}
}
