package dashboard_test

import (
	"context"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/journal/forgetful"
	"github.com/go-eventhubs/eventhubs/internal/sas"
)

// An atomicIndex counts from zero.
type atomicIndex struct{ n atomic.Int64 }

func (i *atomicIndex) take() int { return int(i.n.Add(1)) - 1 }

// A trouble is one that an alert is for, lived through by a shop.
type trouble struct {
	job   string
	kind  shopKind
	run   func(*shop)
	fires []string // all alerts that fire, and no other
}

var busy = emulator.Reject("com.microsoft:server-busy", "Please wait 1 seconds and try again.")

const namespace = "contoso.servicebus.windows.net"

var troubles = []trouble{
	{"none", shopKind{}, func(s *shop) { s.pass(20*time.Minute, s.order) }, nil},
	{"none, with a journal", shopKind{journal: &eventhubs.JournalOptions{}}, func(s *shop) { s.pass(20*time.Minute, s.order) }, nil},

	// Its events grow old too.
	{"unreachable", shopKind{}, func(s *shop) {
		s.on(emulator.KindConnection, emulator.Cut())
		s.server.CutAll()
		s.pass(7*time.Minute, s.order)
		s.well()
		s.pass(5*time.Minute, s.order)
	}, []string{"EventHubsPublishingFails", "EventHubsOldEvents"}},
	// With longer pauses its events may grow old too.
	{"unauthorized", shopKind{options: func(o *eventhubs.Options) {
		o.Retry = eventhubs.RetryOptions{MaxRetries: 100, MaxRetryDelay: 10 * time.Second}
	}}, func(s *shop) {
		s.on(emulator.KindAttach, emulator.Reject("amqp:unauthorized-access", "'Send' claim(s) are required."))
		s.server.CutAll()
		s.pass(2*time.Minute+30*time.Second, s.order)
		s.well()
		s.pass(5*time.Minute, s.order)
	}, []string{"EventHubsUnauthorized"}},
	{"refused", shopKind{}, func(s *shop) {
		s.on(emulator.KindTransfer, emulator.Reject("amqp:not-allowed", "no"), emulator.Pass())
		s.pass(10*time.Minute, s.order)
	}, []string{"EventHubsEventsNotStored"}},
	{"unanswered", shopKind{options: func(o *eventhubs.Options) { o.Retry.MaxRetries = -1 }}, func(s *shop) {
		s.on(emulator.KindTransfer, emulator.Cut().Stored(), emulator.Pass())
		s.pass(10*time.Minute, s.order)
	}, []string{"EventHubsEventsPossiblyStored"}},
	{"unheard", shopKind{options: func(o *eventhubs.Options) { o.OnBatchFailed = nil }}, func(s *shop) {
		s.on(emulator.KindTransfer, emulator.Reject("amqp:not-allowed", "no"), emulator.Pass())
		s.pass(10*time.Minute, s.order)
	}, []string{"EventHubsEventsNotStored", "EventHubsUnheardFailures"}},
	{"fenced", shopKind{options: func(o *eventhubs.Options) { o.EnableIdempotentRetries = true }}, func(s *shop) {
		s.on(emulator.KindTransfer, emulator.Reject("com.microsoft:producer-epoch-stolen", "another one"))
		s.pass(2*time.Minute, s.order)
	}, []string{"EventHubsEventsNotStored", "EventHubsProducerFenced"}},
	{"stopped", shopKind{options: func(o *eventhubs.Options) { o.StopPartitionOnFailure = true }}, func(s *shop) {
		s.on(emulator.KindTransfer, emulator.Reject("amqp:not-allowed", "no"), emulator.Pass())
		s.pass(2*time.Minute, s.order)
	}, []string{"EventHubsEventsNotStored", "EventHubsPartitionStopped"}},

	{"full", shopKind{options: func(o *eventhubs.Options) { o.MaxBufferedEvents = 10 }}, func(s *shop) {
		s.slow()
		ctx, cancel := context.WithCancel(s.t.Context())
		defer cancel()
		go s.fill(ctx) // ends with ctx
		s.pass(10*time.Minute, nil)
	}, []string{"EventHubsBufferNearlyFull"}},
	// Callers that wait have filled the buffer.
	{"waiting", shopKind{options: func(o *eventhubs.Options) { o.MaxBufferedEvents = 10 }}, func(s *shop) {
		s.slow()
		ctx, cancel := context.WithCancel(s.t.Context())
		defer cancel()
		for range 5 {
			go func() { // ends with ctx
				for s.producer.Enqueue(ctx, &eventhubs.Event{}) == nil {
				}
			}()
		}
		s.pass(10*time.Minute, nil)
		s.well()
	}, []string{"EventHubsBufferNearlyFull", "EventHubsCallersWait"}},
	{"old", untilFull(nil), func(s *shop) { s.pass(10*time.Minute, s.order) }, []string{"EventHubsOldEvents"}},
	{"throttled", shopKind{}, func(s *shop) {
		var n atomicIndex
		s.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindTransfer && n.take()%2 == 0 {
				return busy
			}
			return emulator.Pass()
		})
		s.pass(15*time.Minute, s.order)
	}, []string{"EventHubsThrottled"}},

	{"slow handlers", handling(func(context.Context, *eventhubs.Batch) { time.Sleep(8 * time.Second) }), func(s *shop) {
		s.pass(15*time.Minute, s.order)
	}, []string{"EventHubsHandlersSlow"}},
	{"hanging handler", handling(hangOnce()), func(s *shop) {
		s.pass(5*time.Minute, nil)
		s.pass(5*time.Minute, s.order)
	}, []string{"EventHubsHandlerHangs"}},
	{"panicking handler", handling(panicOnce()), func(s *shop) { s.pass(10*time.Minute, s.order) }, []string{"EventHubsHandlerPanics"}},

	{"ending token", shopKind{
		auth: &emulator.Authentication{Keys: []emulator.Key{{Name: "send", Value: "right", Rights: emulator.RightSend}}},
		connect: func(*emulator.Server) string {
			return "Endpoint=sb://" + namespace + "/;SharedAccessSignature=" + sas.Sign("amqps://"+namespace+"/orders", "send", "right", time.Now().Add(15*time.Minute))
		},
	}, func(s *shop) { s.pass(12*time.Minute+45*time.Second, s.order) }, []string{"EventHubsTokenEnds"}},
	{"cut connections", shopKind{}, func(s *shop) {
		s.pass(4*time.Minute, func() {
			s.server.CutAll()
			s.order()
		})
		s.pass(5*time.Minute, s.order)
	}, []string{"EventHubsConnectionsLost"}},

	{"full disk", shopKind{journal: &eventhubs.JournalOptions{}}, func(s *shop) {
		s.disk.SetSize(1 << 30)
		s.pass(7*time.Minute, s.order)
	}, []string{"EventHubsJournalNearlyFull"}},
	{"failed journal", shopKind{journal: &eventhubs.JournalOptions{}}, func(s *shop) {
		s.disk.Fail(forgetful.Fault{Op: forgetful.Sync, Err: syscall.EIO})
		s.pass(2*time.Minute, s.order)
	}, []string{"EventHubsJournalFailed"}},
	{"old journal", untilFull(&eventhubs.JournalOptions{}), func(s *shop) { s.pass(time.Hour+7*time.Minute, s.order) }, []string{"EventHubsJournalOldEvents"}},
	{"copied journal", shopKind{journal: &eventhubs.JournalOptions{}, options: func(o *eventhubs.Options) { o.EnableIdempotentRetries = true }}, func(s *shop) {
		copied := s.disk.Clone()
		copied.Kill() // no process has its lock
		options := s.options
		options.Journal = s.journalOn(copied, &eventhubs.JournalOptions{})
		later, err := eventhubs.NewBufferedProducerFromConnectionString(s.server.ConnectionString("orders"), "", &options)
		if err != nil {
			s.t.Fatal(err)
		}
		if _, err := later.Publish(s.t.Context(), &eventhubs.Event{PartitionID: "0"}); err != nil {
			s.t.Fatal(err)
		}
		s.pass(time.Minute+30*time.Second, s.order)
		_ = later.Close(context.Background())
	}, []string{"EventHubsJournalPartitionFenced"}},
}

// slow has the service answer after 20 s.
func (s *shop) slow() { s.on(emulator.KindTransfer, emulator.Pass().AnswerAfter(20*time.Second)) }

// fill keeps the buffer full, and never waits for room.
func (s *shop) fill(ctx context.Context) {
	for ctx.Err() == nil {
		for s.producer.TryEnqueue(ctx, &eventhubs.Event{}) == nil {
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func untilFull(journal *eventhubs.JournalOptions) shopKind {
	return shopKind{journal: journal, options: func(o *eventhubs.Options) { o.MaxWaitTime = eventhubs.UntilFull }}
}

func handling(handler func(context.Context, *eventhubs.Batch)) shopKind {
	return shopKind{options: func(o *eventhubs.Options) { o.OnBatchSucceeded = handler }}
}

// hangOnce is a handler that hangs for two minutes on its tenth batch, when the shop has had its
// first two minutes.
func hangOnce() func(context.Context, *eventhubs.Batch) {
	var n atomicIndex
	return func(context.Context, *eventhubs.Batch) {
		if n.take() == 7 {
			time.Sleep(2 * time.Minute)
		}
	}
}

func panicOnce() func(context.Context, *eventhubs.Batch) {
	var n atomicIndex
	return func(context.Context, *eventhubs.Batch) {
		if n.take() == 12 {
			panic("of a handler")
		}
	}
}

// TestEachAlertHasItsTrouble checks the table above.
func TestEachAlertHasItsTrouble(t *testing.T) {
	own := map[string]int{}
	for _, c := range troubles {
		for _, alert := range c.fires {
			own[alert]++
		}
	}
	for _, rule := range readAlerts(t) {
		if own[rule.Alert] == 0 {
			t.Errorf("no trouble is for %s", rule.Alert)
		}
		delete(own, rule.Alert)
	}
	if len(own) > 0 {
		t.Errorf("there are no alerts %v", own)
	}
}
