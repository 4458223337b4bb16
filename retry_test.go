package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
)

func TestRetryModesAndPolicy(t *testing.T) {
	fixed := Options{Retry: RetryOptions{Mode: RetryFixed, RetryDelay: time.Second, MaxRetryDelay: time.Minute, MaxRetries: 3}}
	var failed retries
	for failures := range 4 {
		if pause, again := failed.after(errors.New("no"), "", false, &fixed); pause < 800*time.Millisecond || pause > 1200*time.Millisecond || again != (failures < 3) {
			t.Errorf("after %d failures: %v, %v", failures+1, pause, again)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Answer = func(scripted.Sent) connection.Result { return scripted.Transient(connection.NotSent) }
		var asked []int
		p := producerOver(peer, Options{MaxWaitTime: SendAtOnce, OnBatchFailed: func(context.Context, *Batch) {}, Retry: RetryOptions{Policy: func(f FailedTry) (time.Duration, bool) {
			if e, ok := errors.AsType[*Error](f.Err); !ok || e.Code != CodeConnectionLost || !e.Transient || e.PartitionID != "0" || e.Tries != f.Failures || f.PartitionID != "0" {
				t.Errorf("after %d failures, in partition %q, the policy got %#v", f.Failures, f.PartitionID, f.Err)
			}
			asked = append(asked, f.Failures)
			return time.Second, f.Failures < 3
		}}})
		enqueue(t, p, "0", "a")
		_ = p.Close(t.Context())
		if fmt.Sprint(asked) != "[1 2 3]" || scripted.Now() != 2*time.Second {
			t.Errorf("the policy was asked %v by %v", asked, scripted.Now())
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
	// The pauses are uniform between 0 and 1.6 s.
	if low > 160*time.Millisecond || middle < 700*time.Millisecond || middle > 900*time.Millisecond || high < 1400*time.Millisecond || pauses[1999] > 1600*time.Millisecond {
		t.Errorf("5 %% of the pauses are below %v, half below %v, 95 %% below %v", low, middle, high)
	}
}

// Tries without a connection use up no retry, and their pauses grow all the same.
func TestPausesGrowWithFailuresThatAreNotCounted(t *testing.T) {
	o, err := (&Options{}).withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	unreached := &connection.Error{Code: connection.CodeConnectionLost, Transient: true, Unreached: true, Err: errors.New("x")}
	var failed retries
	for n := 1; n <= 100; n++ {
		var longest time.Duration
		for range 200 {
			once := failed
			pause, again := once.after(unreached, "", false, &o)
			if !again {
				t.Fatalf("no further try after %d failures", n)
			}
			longest = max(longest, pause)
		}
		if mean := o.Retry.mean(n); longest < mean*8/5 || longest > 2*mean {
			t.Errorf("after %d failures the longest pause is %v, want up to %v", n, longest, 2*mean)
		}
		failed.after(unreached, "", false, &o)
	}
	if failed.counted != 0 || failed.total() != 100 {
		t.Errorf("%d of %d failures are counted, want none of 100", failed.counted, failed.total())
	}
	// The service answers, or a link is lost: that is no first failure.
	for _, e := range []connection.Error{{Code: connection.CodeInternal}, {Code: connection.CodeConnectionLost, Lost: true}} {
		e.Transient, e.Err = true, errors.New("x")
		once := failed
		if pause, again := once.after(&e, "", false, &o); pause < 48*time.Second || !again || once.counted != 1 {
			t.Errorf("%s: a pause of %v, again %v, %d counted; want 48s at least, true, 1", e.Code, pause, again, once.counted)
		}
	}
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

// No pause that the service asks for or a caller sets may crash the process.
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

func TestTheDelayDoublesUpToItsBound(t *testing.T) {
	r := RetryOptions{RetryDelay: 800 * time.Millisecond, MaxRetryDelay: time.Minute}
	for failures, want := range map[int]time.Duration{
		1: 800 * time.Millisecond, 2: 1600 * time.Millisecond, 5: 12800 * time.Millisecond, 8: time.Minute, 1000: time.Minute} {
		for range 100 {
			if got := r.delay(failures); got < want*8/10 || got > want*12/10 {
				t.Errorf("delay(%d) = %v, want %v, a fifth more or less", failures, got, want)
			}
		}
	}
	if got := (&RetryOptions{RetryDelay: -1}).delay(3); got != 0 {
		t.Errorf("without a delay delay(3) = %v", got)
	}
}
