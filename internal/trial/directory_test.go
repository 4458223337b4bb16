package trial

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

func TestAFailedRefreshChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		peer := scripted.New(t, 2)
		peer.List = func(call int) error {
			if call > 1 {
				return scripted.Transient(connection.NotSent).Err
			}
			return nil
		}
		p := world.Connected(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, PartitionRefreshInterval: time.Minute, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		for i := range 10 {
			time.Sleep(2 * time.Minute)
			world.Enqueue(t, p, "1", fmt.Sprint(i))
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if peer.Asked < 5 || len(peer.StoredIn("1")) != 10 || !strings.Contains(log.String(), "could not be refreshed") {
			t.Errorf("asked %d times, %d events are stored, logged:\n%s", peer.Asked, len(peer.StoredIn("1")), log.String())
		}
	})
}

// A partition is missing from one reply and there in the next.
func TestAPartitionThatComesBackKeepsItsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		tries := 0
		peer.Answer = func(s scripted.Sent) connection.Result {
			if s.Bodies[0] == "first" {
				if tries++; tries <= 2 {
					return scripted.Transient(connection.NotSent)
				}
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := world.Connected(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, OnBatchFailed: world.Ignore})
		world.Enqueue(t, p, "1", "first") // fails, and is tried again
		synctest.Wait()
		for _, ids := range [][]string{{"0"}, {"0", "1"}} {
			peer.Partitions = ids
			if err := p.Connect(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		}
		world.Enqueue(t, p, "1", "second")
		synctest.Wait()
		if got := p.PartitionBufferedEvents("1"); got != 2 {
			t.Errorf("PartitionBufferedEvents %d, want 2 (total %d)", got, p.BufferedEvents())
		}
		if err := p.FlushPartition(t.Context(), "1"); err != nil {
			t.Error(err)
		}
		if got := p.BufferedEvents(); got != 0 {
			t.Errorf("after FlushPartition %d events are buffered", got)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got := peer.StoredIn("1"); !slices.Equal(got, []string{"first", "second"}) {
			t.Errorf("stored %v", got)
		}
	})
}

func TestAListThatFlapsLeaksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 32)
		p := world.Connected(peer, eventhubs.Options{})
		all := slices.Clone(peer.Partitions)
		for range 100 {
			for _, ids := range [][]string{all[:1], all} {
				peer.Partitions = ids
				if err := p.Connect(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		if got := len(p.Stats().Partitions); got > 32 {
			t.Errorf("%d partitions for a hub of 32", got)
		}
	})
}

func TestAListThatNamesAPartitionTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		peer.Partitions = []string{"0", "0", "1"}
		p := world.Connected(peer, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull})
		for i := range 3 {
			world.Enqueue(t, p, "", fmt.Sprint(i))
		}
		if got := p.PartitionBufferedEvents("0") + p.PartitionBufferedEvents("1"); got != 3 {
			t.Errorf("the partitions hold %d of 3", got)
		}
		_ = p.FlushPartition(t.Context(), "0")
		_ = p.FlushPartition(t.Context(), "1")
		if got := p.BufferedEvents(); got != 0 {
			t.Errorf("after FlushPartition of each %d are left", got)
		}
	})
}

func TestHealthAndConnectForgetAPartitionThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		peer.Answer = func(s scripted.Sent) connection.Result {
			if s.Partition == "1" {
				peer.Mu.Lock()
				peer.Partitions = []string{"0"} // the hub was made again with fewer partitions
				peer.Mu.Unlock()
				return connection.Result{Outcome: connection.NotSent, Err: &connection.Error{Code: connection.CodePartitionUnknown, Err: errors.New("x")}}
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := world.Connected(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, Retry: eventhubs.RetryOptions{MaxRetries: 1}, OnBatchFailed: world.Ignore})
		world.Enqueue(t, p, "1", "a")
		_ = p.Flush(t.Context())
		if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte("b"), PartitionID: "1"}); !errors.Is(err, eventhubs.ErrPartitionUnknown) {
			t.Errorf("the list was not refreshed: %v", err)
		}
		for range 100 {
			time.Sleep(time.Minute)
			if _, err := p.Publish(t.Context(), world.Event("c")); err != nil {
				t.Fatal(err)
			}
		}
		if h := p.Health(); h.State != eventhubs.HealthReady {
			t.Errorf("100 minutes and 100 stored events later Health is %v %v, since %v", h.State, h.Partitions, h.Since)
		}
		if err := p.Connect(t.Context(), nil); err != nil {
			t.Error(err)
		}
		peer.Open = func(id string) error {
			if id == "1" {
				return &connection.Error{Code: connection.CodePartitionUnknown, Err: errors.New("no such partition")}
			}
			return nil
		}
		if err := p.Connect(t.Context(), &eventhubs.ConnectOptions{Links: true}); err != nil {
			t.Errorf("Connect opens the links of a partition that the hub does not have: %v", err)
		}
	})
}

func TestAThousandUnknownPartitionsAskForTheListOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1000)
		peer.Answer = func(s scripted.Sent) connection.Result {
			return connection.Result{Outcome: connection.NotSent, Err: &connection.Error{Code: connection.CodePartitionUnknown, Err: errors.New("x")}}
		}
		p := world.Connected(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, Retry: eventhubs.RetryOptions{MaxRetries: -1}, OnBatchFailed: world.Ignore})
		peer.Mu.Lock()
		peer.List = func(int) error { time.Sleep(30 * time.Second); return nil }
		peer.Mu.Unlock()
		for i := range 1000 {
			world.Enqueue(t, p, fmt.Sprint(i), "a")
		}
		synctest.Wait()
		if peer.Asked > 3 {
			t.Errorf("the list is asked for %d times at once", peer.Asked-1)
		}
		_ = p.Close(t.Context())
	})
}

// The refresh takes longer than its interval.
func TestARefreshIsOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		p := world.Connected(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, PartitionRefreshInterval: 100 * time.Millisecond})
		var now, most atomic.Int32
		peer.Mu.Lock()
		peer.List = func(int) error {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(50 * time.Second)
			now.Add(-1)
			return nil
		}
		peer.Mu.Unlock()
		for range 300 {
			if _, err := p.Publish(t.Context(), world.Event("c")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if most.Load() > 1 {
			t.Errorf("%d refreshes at once", most.Load())
		}
	})
}

func TestTheListIsRefreshedByTheFirstEventAfterItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		p := world.Over(peer, eventhubs.Options{PartitionRefreshInterval: time.Hour, MaxWaitTime: eventhubs.SendAtOnce})
		world.Enqueue(t, p, "0", "a")
		synctest.Wait()
		time.Sleep(24 * time.Hour)
		if peer.Asked != 1 {
			t.Errorf("an idle producer asked %d times, want 1", peer.Asked)
		}
		peer.Mu.Lock()
		peer.Partitions = []string{"0", "1", "2"}
		peer.Mu.Unlock()
		world.Enqueue(t, p, "0", "b", "c")
		synctest.Wait()
		if peer.Asked != 2 {
			t.Errorf("the list was asked for %d times, want 2", peer.Asked)
		}
		world.Enqueue(t, p, "2", "d")
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(peer.StoredIn("0"), peer.StoredIn("2")); got != "[a b c] [d]" {
			t.Errorf("stored %s", got)
		}
	})
}

func TestAPartitionUnknownToTheServiceRefreshesTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		peer.Answer = func(s scripted.Sent) connection.Result {
			if s.Try == 1 {
				return connection.Result{Outcome: connection.NotSent, Err: &connection.Error{Code: connection.CodePartitionUnknown, Err: errors.New("unknown")}}
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce})
		world.Enqueue(t, p, "0", "a")
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if peer.Asked != 2 {
			t.Errorf("the list was asked for %d times, want 2", peer.Asked)
		}
	})
}
