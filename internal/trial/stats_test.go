package trial

import (
	"context"
	"errors"
	"fmt"
	"strings"
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

func TestStatsCountWhatHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		peer.Latency = func() time.Duration { return time.Second }
		peer.Answer = func(s scripted.Sent) connection.Result {
			switch {
			case s.Bodies[0] == "retry" && s.Try == 1:
				return scripted.Transient(connection.Unknown)
			case s.Bodies[0] == "busy" && s.Try == 1:
				return connection.Result{Outcome: connection.Rejected, Err: &connection.Error{Code: connection.CodeThrottled, Transient: true, Err: errors.New("busy")}}
			case s.Bodies[0] == "bad":
				return scripted.Refused("no")
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := world.Over(peer, eventhubs.Options{OnBatchFailed: func(context.Context, *eventhubs.Batch) {}})
		for _, body := range []string{"retry", "busy", "bad", "good"} {
			world.Enqueue(t, p, "0", body)
			if body == "good" {
				time.Sleep(100 * time.Millisecond)
				s := p.Stats()
				part := s.Partitions[0]
				if s.BufferedEvents != 1 || s.BufferedBytes == 0 || s.OldestEventAge != 100*time.Millisecond || part.Waiting != eventhubs.WaitingForEvents || part.BufferedEvents != 1 {
					t.Errorf("while an event lingers Stats is %+v", s)
				}
				time.Sleep(200 * time.Millisecond)
				if part := p.Stats().Partitions[0]; part.Waiting != eventhubs.WaitingForService || part.BatchesInFlight != 1 {
					t.Errorf("while it is sent the partition is %+v", part)
				}
			}
			_ = p.Flush(t.Context())
		}
		s := p.Stats()
		if s.StoredEvents != 3 || s.StoredBatches != 3 || s.NotStoredEvents != 1 || s.FailedBatches != 1 || s.Retries != 1 || s.AmbiguousTries != 1 || s.ThrottledTries != 1 ||
			s.ThrottledTotal < 4*time.Second || s.BufferedEvents != 0 || s.OldestEventAge != 0 || s.OnWireTotal < 8*time.Second || s.QueuedTotal == 0 || s.Fill <= 0 || s.Fill > 1 || s.StoredBytes == 0 {
			t.Errorf("Stats is %+v", s)
		}
	})
}

func TestStatsTellWhoWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Latency = func() time.Duration { return time.Second }
		p := world.Over(peer, eventhubs.Options{MaxBufferedEvents: 2, MaxBufferedBytes: 1000})
		ctx, cancel := context.WithCancel(t.Context())
		for i := range 5 {
			// Ends when there is room, or when its context is cancelled.
			go func() { _ = p.Enqueue(ctx, world.Event(fmt.Sprint(i))) }()
		}
		synctest.Wait()
		if s := p.Stats(); s.WaitingCallers != 3 || s.MaxBufferedEvents != 2 || s.MaxBufferedBytes != 1000 {
			t.Errorf("%d callers wait, the bounds are %d and %d, want 3, 2 and 1000", s.WaitingCallers, s.MaxBufferedEvents, s.MaxBufferedBytes)
		}
		cancel()
		synctest.Wait()
		if got := p.Stats().WaitingCallers; got != 0 {
			t.Errorf("%d callers wait, want none", got)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestStatsTellWhatAPartitionWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(1), Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
			switch {
			case op.Kind == emulator.KindManagement:
				return emulator.Pass().After(time.Second)
			case op.Kind == emulator.KindAttach && op.PartitionID != "":
				return emulator.WithholdCredit(10 * time.Second).After(5 * time.Second)
			case op.Kind == emulator.KindTransfer:
				return emulator.Pass().AnswerAfter(5 * time.Second)
			}
			return emulator.Pass()
		}})
		p := world.NewProducer(t, server, eventhubs.Options{MaxWaitTime: 500 * time.Millisecond})
		if err := p.Enqueue(t.Context(), &eventhubs.Event{}); err != nil {
			t.Fatal(err)
		}
		var waited []string
		for range 25 {
			time.Sleep(time.Second)
			synctest.Wait()
			for _, part := range p.Stats().Partitions {
				if w := part.Waiting.String(); len(waited) == 0 || waited[len(waited)-1] != w {
					waited = append(waited, w)
				}
			}
		}
		if got := strings.Join(waited, ", "); got != "for the link, for credit, for the service, not waiting" && got != "for the list of partitions, for the link, for credit, for the service, not waiting" {
			t.Errorf("the partition waited %s", got)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestStatsTellTheLargestMessageOfEachLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(2), MaxMessageSize: 20 << 20})
		p := world.NewProducer(t, server, eventhubs.Options{})
		for _, links := range []bool{false, true} {
			if err := p.Connect(t.Context(), &eventhubs.ConnectOptions{Links: links}); err != nil {
				t.Fatal(err)
			}
			want := map[bool]int{false: 0, true: 20 << 20}[links]
			for _, part := range p.Stats().Partitions {
				if part.MaxMessageSize != want {
					t.Errorf("links open: %v: partition %s takes %d bytes, want %d", links, part.ID, part.MaxMessageSize, want)
				}
			}
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
