package trial

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

func TestConnectToAHubWithoutPartitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 0)
		p := world.Over(peer, eventhubs.Options{})
		err := p.Connect(t.Context(), nil)
		if err == nil {
			t.Errorf("Connect returned nil")
		}
		defer func() {
			if r := recover(); r != nil {
				t.Errorf("Enqueue panicked: %v", r)
			}
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = p.Enqueue(ctx, world.Event("a"))
		p.Clear(t.Context())
	})
}

func TestACancelledConnectDoesNotSickenHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce})
		world.Enqueue(t, p, "0", "a")
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_ = p.Connect(ctx, nil)
		for i := range 10 {
			world.Enqueue(t, p, "0", fmt.Sprint(i))
			time.Sleep(time.Hour)
		}
		if h := p.Health(); h.Err != nil {
			t.Errorf("Health is %+v though 10 hours of events and refreshes went well", h)
		}
	})
}

func TestConnectCallsNoHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.List = func(call int) error { time.Sleep(time.Duration(call) * time.Second); return nil }
		p := world.Over(peer, eventhubs.Options{OnBatchFailed: func(context.Context, *eventhubs.Batch) { time.Sleep(time.Hour) }})
		done := make(chan time.Duration, 1)
		go func() {
			if err := p.Connect(t.Context(), nil); err != nil {
				t.Error(err)
			}
			done <- scripted.Now()
		}()
		synctest.Wait()
		world.Enqueue(t, p, "77", "a")
		if at := <-done; at > time.Minute {
			t.Errorf("Connect returned at %v: it ran a handler", at)
		}
	})
}

func TestConnectOpensNoLinksAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.List = func(call int) error { time.Sleep(time.Second); return nil }
		var opened atomic.Int32
		h := &scripted.SlowHub{Hub: peer, Open: func(ctx context.Context, id string) error { opened.Add(1); return nil }}
		p := world.On(t, h, eventhubs.Options{})
		done := make(chan error, 1)
		go func() { done <- p.Connect(t.Context(), &eventhubs.ConnectOptions{Links: true}) }()
		synctest.Wait()
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		err := <-done
		if opened.Load() > 0 || !errors.Is(err, eventhubs.ErrClosed) {
			t.Errorf("%d links were opened after Close; Connect returned %v at %v", opened.Load(), err, scripted.Now())
		}
	})
}

func TestNothingIsReachedBeforeTheFirstEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		p := world.Over(peer, eventhubs.Options{})
		time.Sleep(time.Hour)
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		p.Clear(t.Context())
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if peer.Asked != 0 || len(peer.Sent()) != 0 {
			t.Errorf("the service was asked %d times and sent %d batches", peer.Asked, len(peer.Sent()))
		}
	})
}

func TestMetadataCallsAskOnceAndHonourTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		p := world.Over(peer, eventhubs.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := p.EventHubProperties(ctx); err != nil || peer.Asked != 1 {
			t.Errorf("EventHubProperties returned %v after asking %d times", err, peer.Asked)
		}
		cancel()
		if _, err := p.EventHubProperties(ctx); !errors.Is(err, context.Canceled) || peer.Asked != 2 {
			t.Errorf("with an ended context it returned %v after asking %d times: it does not retry", err, peer.Asked)
		}
	})
}

func TestConnectTellsWhatIsWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 3)
		wrong := &connection.Error{Code: connection.CodeUnauthorized, Err: errors.New("no role")}
		peer.List = func(call int) error {
			if call == 1 {
				return wrong
			}
			return nil
		}
		var opened atomic.Int32
		peer.Open = func(string) error { opened.Add(1); return nil }
		p := world.Over(peer, eventhubs.Options{})
		err := p.Connect(t.Context(), nil)
		if e, ok := errors.AsType[*eventhubs.Error](err); !ok || e.Code != eventhubs.CodeUnauthorized {
			t.Errorf("Connect returned %v", err)
		}
		if h := p.Health(); !errors.Is(h.Err, wrong) || h.Since.IsZero() {
			t.Errorf("Health is %+v", h)
		}
		if err := p.Connect(t.Context(), &eventhubs.ConnectOptions{Links: true}); err != nil {
			t.Fatal(err)
		}
		if h := p.Health(); h.Err != nil {
			t.Errorf("after a success Health is %+v", h)
		}
		if got := opened.Load(); got != 3 {
			t.Errorf("%d links were opened, want 3", got)
		}
	})
}

func TestPartitionPropertiesNamesThePartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := world.Over(scripted.New(t, 1), eventhubs.Options{})
		if got, err := p.PartitionProperties(t.Context(), "0"); err != nil || got.PartitionID != "0" {
			t.Errorf("PartitionProperties returned %+v, %v", got, err)
		}
	})
}
