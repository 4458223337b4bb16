package trial

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// The default DeliveryTimeout is 15 minutes. A dial that reaches nothing uses up no retry before.
func TestAnOutageOfTenMinutesLosesNothingWithTheDefaults(t *testing.T) {
	const partitions, every = 16, 5 * time.Second
	noAnswer := errors.New("the dial gets no answer until its context ends")
	for name, closed := range map[string]error{
		"refused":      world.ErrRefused,
		"no such host": &net.DNSError{Err: "no such host", Name: "ns.servicebus.windows.net", IsNotFound: true},
		"not trusted":  x509.UnknownAuthorityError{},
		"no answer":    noAnswer,
	} {
		for _, first := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, before the first event %v", name, first), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(partitions), Logger: slog.New(slog.DiscardHandler)})
					var door world.Door
					var failed world.Outcomes
					p, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("hub"), "", &eventhubs.Options{
						OnBatchFailed: failed.Handle,
						Connection: eventhubs.ConnectionOptions{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
							err := door.Pass(ctx)
							if err == noAnswer {
								<-ctx.Done()
								return nil, ctx.Err()
							}
							if err != nil {
								return nil, err
							}
							return server.Dial(ctx)
						}},
					})
					if err != nil {
						t.Fatal(err)
					}
					n := 0
					publish := func(lasts time.Duration) {
						for end := time.Now().Add(lasts); time.Now().Before(end); time.Sleep(every) {
							for i := range partitions {
								world.Enqueue(t, p, fmt.Sprint(i), fmt.Sprint(n))
								n++
							}
						}
					}
					if !first {
						publish(time.Minute)
					}
					door.Block(closed)
					server.CutAll()
					publish(10 * time.Minute)
					door.Block(nil)
					publish(time.Minute)
					if err := p.Close(t.Context()); err != nil {
						t.Error(err)
					}
					stored := map[string]bool{}
					for i := range partitions {
						for _, body := range world.Bodies(server, fmt.Sprint(i)) {
							stored[body] = true
						}
					}
					if len(stored) != n || len(failed.All()) != 0 {
						t.Errorf("%d of %d events are stored, %d batches failed, want all and none", len(stored), n, len(failed.All()))
					}
				})
			})
		}
	}
}

// unreached is the error of a try that gets no connection.
func unreached() error {
	return &connection.Error{Code: connection.CodeConnectionLost, Transient: true, Unreached: true, Err: errors.New("no route")}
}

// internal is the error of a try that the service answers.
func internal() error {
	return &connection.Error{Code: connection.CodeInternal, Transient: true, Err: errors.New("out of order")}
}

// Each trouble is of the list of partitions, then of a link.
func TestWhatBoundsTriesThatReachNothing(t *testing.T) {
	for name, c := range map[string]struct {
		options eventhubs.Options
		errs    func(try int) error // from 1
		tries   int                 // 0: as many as the time allows
		within  [2]time.Duration    // when the batch fails
	}{
		"DeliveryTimeout": {eventhubs.Options{DeliveryTimeout: 20 * time.Minute, Retry: eventhubs.RetryOptions{MaxRetries: 1}},
			func(int) error { return unreached() }, 0, [2]time.Duration{18 * time.Minute, 20 * time.Minute}},
		"MaxRetries, without a DeliveryTimeout": {eventhubs.Options{DeliveryTimeout: -1, Retry: eventhubs.RetryOptions{MaxRetries: 3}},
			func(int) error { return unreached() }, 4, [2]time.Duration{0, 12 * time.Second}},
		"no retries": {eventhubs.Options{Retry: eventhubs.RetryOptions{MaxRetries: -1}},
			func(int) error { return unreached() }, 1, [2]time.Duration{}},
		"no retries and no DeliveryTimeout": {eventhubs.Options{DeliveryTimeout: -1, Retry: eventhubs.RetryOptions{MaxRetries: -1}},
			func(int) error { return unreached() }, 1, [2]time.Duration{}},
		"FailFast": {eventhubs.Options{FailFast: true},
			func(int) error {
				return &connection.Error{Code: connection.CodeNotFound, Unreached: true, Err: errors.New("no such host")}
			}, 1, [2]time.Duration{}},
		"the policy": {eventhubs.Options{Retry: eventhubs.RetryOptions{Policy: func(f eventhubs.FailedTry) (time.Duration, bool) { return time.Second, f.Failures < 5 }}},
			func(int) error { return unreached() }, 5, [2]time.Duration{4 * time.Second, 4 * time.Second}},
		"MaxRetries, of the tries with an answer": {eventhubs.Options{Retry: eventhubs.RetryOptions{MaxRetries: 2}},
			func(try int) error {
				if try%4 == 0 {
					return internal()
				}
				return unreached()
			}, 12, [2]time.Duration{0, 12 * time.Minute}},
	} {
		for _, where := range []string{"list", "link"} {
			t.Run(name+", "+where, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					peer := scripted.New(t, 1)
					tries := 0
					trouble := func() error { tries++; return c.errs(tries) }
					if where == "list" {
						peer.List = func(int) error { return trouble() }
					} else {
						peer.Open = func(string) error { return trouble() }
					}
					var failed world.Outcomes
					c.options.OnBatchFailed, c.options.MaxWaitTime = failed.Handle, eventhubs.SendAtOnce
					p := world.Over(peer, c.options)
					world.Enqueue(t, p, "0", "a")
					_ = p.Close(t.Context())
					all := failed.All()
					if len(all) != 1 || all[0].At < c.within[0] || all[0].At > c.within[1] || c.tries != 0 && tries != c.tries {
						t.Fatalf("after %d tries: %+v, want %d tries, and a failure between %v and %v", tries, all, c.tries, c.within[0], c.within[1])
					}
					e, ok := errors.AsType[*eventhubs.Error](all[0].Outcome.Err)
					last, _ := errors.AsType[*connection.Error](c.errs(tries))
					if !ok || e.Tries != tries || e.Code != eventhubs.Code(last.Code) {
						t.Errorf("after %d tries the error is %#v, want the last failure, %s, and all tries", tries, e, last.Code)
					}
					if timeout := c.tries == 0; errors.Is(all[0].Outcome.Err, eventhubs.ErrDeliveryTimeout) != timeout {
						t.Errorf("the error is %v; want ErrDeliveryTimeout in it: %v", all[0].Outcome.Err, timeout)
					}
					if timeout, s := c.tries == 0, p.Stats(); !timeout && int(s.Retries) != tries-1 {
						t.Errorf("Stats.Retries is %d after %d tries", s.Retries, tries)
					}
				})
			})
		}
	}
}

// An event that is staged after others have used up their tries has all of its own.
func TestADialThatReachesNothingFailsNoLaterStagedEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.List = func(call int) error {
			switch {
			case call <= 3:
				return internal()
			case call <= 20:
				return unreached()
			}
			return nil
		}
		var failed world.Outcomes
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, OnBatchFailed: failed.Handle,
			Retry: eventhubs.RetryOptions{MaxRetries: 2, Mode: eventhubs.RetryFixed, RetryDelay: time.Second}})
		world.Enqueue(t, p, "0", "a")
		time.Sleep(1500 * time.Millisecond)
		world.Enqueue(t, p, "0", "b")
		_ = p.Close(t.Context())
		if all := failed.All(); len(all) != 1 || fmt.Sprint(all[0].Bodies) != "[a]" {
			t.Errorf("outcomes: %+v, want a failed alone", all)
		}
		if got := fmt.Sprint(peer.StoredIn("0")); got != "[b]" {
			t.Errorf("stored %s, want b", got)
		}
	})
}

// An event that is staged during the outage has a DeliveryTimeout of its own.
func TestAnOutageFailsNoLaterStagedEventWithAnEarlierOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		began := time.Now()
		peer.List = func(int) error {
			if time.Since(began) < 20*time.Minute {
				return unreached()
			}
			return nil
		}
		var failed world.Outcomes
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, OnBatchFailed: failed.Handle})
		world.Enqueue(t, p, "0", "a")
		time.Sleep(10 * time.Minute)
		world.Enqueue(t, p, "0", "b")
		_ = p.Close(t.Context())
		if all := failed.All(); len(all) != 1 || fmt.Sprint(all[0].Bodies) != "[a]" || !errors.Is(all[0].Outcome.Err, eventhubs.ErrDeliveryTimeout) {
			t.Errorf("outcomes: %+v, want a failed alone, for its DeliveryTimeout", all)
		}
		if got := fmt.Sprint(peer.StoredIn("0")); got != "[b]" {
			t.Errorf("stored %s, want b", got)
		}
	})
}
