package connection

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// wantEnded checks that a context has ended for that reason, by every method that shows it.
func wantEnded(t *testing.T, ctx context.Context, err, cause error) {
	t.Helper()
	select {
	case <-ctx.Done():
	default:
		t.Error("Done is not closed")
	}
	if ctx.Err() != err || context.Cause(ctx) != cause {
		t.Errorf("ended with %v, caused by %v; want %v, %v", ctx.Err(), context.Cause(ctx), err, cause)
	}
}

func wantOpen(t *testing.T, ctx context.Context) {
	t.Helper()
	select {
	case <-ctx.Done():
		t.Error("Done is closed")
	default:
	}
	if ctx.Err() != nil || context.Cause(ctx) != nil {
		t.Errorf("ended with %v, caused by %v", ctx.Err(), context.Cause(ctx))
	}
}

func TestDeadlineIsOfEachTryByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := NewDeadlines(t.Context())
		defer tries.Close()
		for range 3 {
			ctx := tries.Start(time.Second)
			if at, ok := ctx.Deadline(); !ok || !at.Equal(time.Now().Add(time.Second)) {
				t.Errorf("the deadline is %v, %v", at, ok)
			}
			time.Sleep(time.Second - 1)
			wantOpen(t, ctx)
			tries.Stop()
			time.Sleep(time.Minute)
			wantOpen(t, ctx)
		}
		late := tries.Start(time.Second)
		time.Sleep(time.Second)
		synctest.Wait()
		wantEnded(t, late, context.DeadlineExceeded, context.DeadlineExceeded)
		tries.Stop()
		wantOpen(t, tries.Start(time.Second))
		wantEnded(t, late, context.DeadlineExceeded, context.DeadlineExceeded)
		tries.Stop()
	})
}

func TestDeadlineEndsWithItsParent(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		reason := errors.New("the reason")
		parent, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "value"))
		tries := NewDeadlines(parent)
		defer tries.Close()
		ctx := tries.Start(time.Minute)
		if ctx.Value(key{}) != "value" {
			t.Error("the parent's value is missing")
		}
		cancel(reason)
		synctest.Wait()
		wantEnded(t, ctx, context.Canceled, reason)
		tries.Stop()
		again := tries.Start(time.Minute)
		synctest.Wait()
		wantEnded(t, again, context.Canceled, reason)
	})
}

func TestDeadlineIsNoLaterThanItsParents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		tries := NewDeadlines(parent)
		defer tries.Close()
		if at, ok := tries.Start(time.Minute).Deadline(); !ok || !at.Equal(time.Now().Add(time.Second)) {
			t.Errorf("the deadline is %v, %v", at, ok)
		}
		tries.Stop()
	})
}

// A try that ends in time must cost a sender no memory.
func TestDeadlinesAllocateNothingForATryInTime(t *testing.T) {
	tries := NewDeadlines(t.Context())
	defer tries.Close()
	tries.Start(time.Hour)
	tries.Stop()
	allocations := testing.AllocsPerRun(100, func() {
		tries.Start(time.Hour)
		tries.Stop()
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}
