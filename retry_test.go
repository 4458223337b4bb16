package eventhubs

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// failing returns the result of a try that did not get as far as the service.
func failing(e connection.Error) connection.Result {
	e.Err = errors.New("no")
	return connection.Result{Outcome: connection.NotSent, Err: &e}
}

// triesOf returns when the peer was sent the batches of a partition.
func (p *peer) triesOf(partition string) (at []time.Duration) {
	for _, s := range p.sent() {
		if s.partition == partition {
			at = append(at, s.at)
		}
	}
	return at
}

// The service closes what has been idle for long. What was learned from that is nothing about a new link.
func TestALostLinkIsReplacedAtOnce(t *testing.T) {
	for _, fast := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			peer := newPeer(t, 1)
			peer.answer = func(s sent) connection.Result {
				if s.try == 1 {
					return connection.Result{Outcome: connection.Unknown, Err: &connection.Error{Code: connection.CodeUnauthorized, Lost: true, Err: errors.New("no")}}
				}
				return connection.Result{Outcome: connection.Accepted}
			}
			p := peer.producer(Options{MaxWaitTime: SendAtOnce, FailFast: fast})
			enqueue(t, p, "0", "a")
			if err := p.Close(t.Context()); err != nil {
				t.Error(err)
			}
			peer.wantSends("again at once", "0s 0 [a]", "0s 0 [a]")
		})
	}
}

func TestALinkThatIsLostAgainIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.answer = func(s sent) connection.Result {
			if s.try < 4 {
				return failing(connection.Error{Code: connection.CodeConnectionLost, Transient: true, Lost: true})
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.producer(Options{MaxWaitTime: SendAtOnce})
		enqueue(t, p, "0", "a")
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		tries := peer.triesOf("0")
		if len(tries) != 4 || tries[1] != 0 || tries[2] < time.Second || tries[3]-tries[2] < 2*time.Second {
			t.Errorf("tries at %v, want one at once and then pauses", tries)
		}
	})
}

func TestPausesBeforeConnectingAgainVaryByAllOfThemselves(t *testing.T) {
	o, err := (&Options{}).withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	var pauses []time.Duration
	for range 2000 {
		var failed retries
		pause, again := failed.after(&connection.Error{Code: connection.CodeConnectionLost, Transient: true, Unreached: true}, "", false, &o)
		if !again {
			t.Fatal("no further try")
		}
		pauses = append(pauses, pause)
	}
	slices.Sort(pauses)
	low, middle, high := pauses[100], pauses[1000], pauses[1900]
	// Uniform between nothing and 1.6 s.
	if low > 160*time.Millisecond || middle < 700*time.Millisecond || middle > 900*time.Millisecond || high < 1400*time.Millisecond || pauses[1999] > 1600*time.Millisecond {
		t.Errorf("5 %% of the pauses are below %v, half below %v, 95 %% below %v", low, middle, high)
	}
}

// Without this, the partitions of one producer come back over a minute, each when its own pause is over.
func TestAConnectionThatIsOpenedWakesAllThatWaitForOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 8)
		down := true
		peer.open = func(string) error {
			peer.mu.Lock()
			defer peer.mu.Unlock()
			if down {
				return &connection.Error{Code: connection.CodeConnectionLost, Transient: true, Unreached: true, Err: errors.New("no route")}
			}
			return nil
		}
		p := peer.producer(Options{MaxWaitTime: SendAtOnce})
		for _, id := range peer.partitions {
			enqueue(t, p, id, "a")
		}
		time.Sleep(time.Minute)
		if h := p.Health(); h.State != HealthUnreachable || len(h.Partitions) != 8 {
			t.Errorf("Health is %+v", h)
		}
		peer.mu.Lock()
		down = false
		peer.mu.Unlock()
		peer.reopen()
		synctest.Wait()
		if sends := peer.sent(); len(sends) != 8 || sends[7].at != time.Minute {
			t.Errorf("%d batches are sent at once, want all 8: %v", len(sends), sends)
		}
	})
}

// An opened connection says nothing about what has failed for another reason.
func TestOtherPausesAreNotCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.answer = func(s sent) connection.Result {
			if s.try == 1 {
				return transient(connection.NotSent)
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.producer(Options{MaxWaitTime: SendAtOnce})
		enqueue(t, p, "0", "a")
		synctest.Wait()
		peer.reopen()
		time.Sleep(500 * time.Millisecond)
		if n := len(peer.sent()); n != 1 {
			t.Errorf("%d tries before the pause is over", n)
		}
	})
}

func TestThrottlingWaitsAsLongAsTheServiceAsksAndSpreads(t *testing.T) {
	o, err := (&Options{}).withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		asked, first time.Duration
	}{{0, 4 * time.Second}, {4 * time.Second, 4 * time.Second}, {10 * time.Second, 10 * time.Second}} {
		var failed retries
		for time := range 6 {
			longest, spread := c.first, c.first/4<<min(time, 4)
			for range 200 {
				again := failed
				pause, ok := again.after(&connection.Error{Code: connection.CodeThrottled, Transient: true, Wait: c.asked}, "", true, &o)
				if !ok || pause < c.first || pause >= c.first+spread {
					t.Fatalf("asked for %v, throttled %d times: %v, %v", c.asked, time+1, pause, ok)
				}
				longest = max(longest, pause)
			}
			if longest < c.first+spread*3/4 {
				t.Errorf("asked for %v, throttled %d times: at most %v, want up to %v", c.asked, time+1, longest, c.first+spread)
			}
			failed.throttled++
		}
		if failed.counted != 0 {
			t.Error("throttling counts as a retry")
		}
	}
}

func TestATokenServiceThatIsDownForTenMinutesLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		none := func() error {
			if now() < 10*time.Minute {
				return &connection.Error{Code: connection.CodeNoToken, Err: errors.New("the identity service is down")}
			}
			return nil
		}
		peer.properties = func(int) error { return none() }
		peer.open = func(string) error { return none() }
		p := peer.producer(Options{})
		for _, id := range []string{"0", "1"} {
			enqueue(t, p, id, "a", "b")
		}
		time.Sleep(time.Second)
		if h := p.Health(); h.State != HealthUnauthorized {
			t.Errorf("Health is %+v", h)
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if got := fmt.Sprint(peer.storedIn("0"), peer.storedIn("1")); got != "[a b] [a b]" {
			t.Errorf("stored %s", got)
		}
		if now() > 12*time.Minute {
			t.Errorf("stored only after %v", now())
		}
	})
}

// What a service says, and what a caller sets, must not end the process.
func TestPausesOfAnyLengthArePauses(t *testing.T) {
	for asked := range 5 * time.Nanosecond {
		if pause := throttleDelay(asked, 1); pause <= 0 {
			t.Errorf("asked to wait for %v, it pauses for %v", asked, pause)
		}
	}
	for _, r := range []RetryOptions{
		{RetryDelay: math.MaxInt64, MaxRetryDelay: -1},
		{RetryDelay: math.MaxInt64, MaxRetryDelay: math.MaxInt64},
		{RetryDelay: math.MaxInt64, MaxRetryDelay: math.MaxInt64, Mode: RetryFixed},
	} {
		o, err := (&Options{Retry: r}).withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		for _, unreached := range []bool{false, true} {
			var failed retries
			for range o.Retry.MaxRetries {
				pause, again := failed.after(&connection.Error{Code: connection.CodeConnectionLost, Transient: true, Unreached: unreached, Err: errors.New("x")}, "", false, &o)
				if pause < 0 || pause > 48*time.Hour || !unreached && pause < time.Hour || !again {
					t.Errorf("with %+v: a pause of %v, again %v", r, pause, again)
				}
			}
		}
	}
}
