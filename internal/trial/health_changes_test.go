package trial

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/producerview"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// Each partition has its own state, with its reason and its time, whatever the others do.
func TestStatsHaveTheStateOfEachPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		peer := scripted.New(t, 5)
		answers := scripted.Answers(peer)
		hold := make(chan struct{})
		answer := peer.Answer
		peer.Answer = func(s scripted.Sent) connection.Result {
			if s.Partition == "2" {
				<-hold
			}
			return answer(s)
		}
		answers["1"] = scripted.Failing(connection.Error{Code: connection.CodeThrottled, Transient: true, Wait: time.Hour})
		answers["3"] = scripted.Refused("no")
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, Logger: scripted.Unlogged, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}})
		for _, id := range []string{"0", "1", "2", "3"} {
			time.Sleep(time.Second)
			world.Enqueue(t, p, id, "a")
		}
		time.Sleep(20 * time.Second) // at 24 s
		world.Enqueue(t, p, "3", "b")
		synctest.Wait()
		type state struct {
			id          string
			state       eventhubs.HealthState
			since, last time.Duration // after the start; -1 for never
			says        string
		}
		after := func(at time.Time) time.Duration {
			if at.IsZero() {
				return -1
			}
			return at.Sub(start)
		}
		for i, want := range []state{
			{"0", eventhubs.HealthReady, -1, -1, ""},
			{"1", eventhubs.HealthThrottled, 2 * time.Second, 2 * time.Second, "no"},
			{"2", eventhubs.HealthSilent, 3 * time.Second, -1, "the service has not acknowledged a batch for 21s; the oldest of 1 events has waited for 21s"},
			{"3", eventhubs.HealthRefused, 4 * time.Second, 24 * time.Second, "no"},
			{"4", eventhubs.HealthConnecting, -1, -1, ""},
		} {
			part := p.Stats().Partitions[i]
			if got := (state{part.ID, part.State, after(part.Since), after(part.LastFailure), want.says}); got != want {
				t.Errorf("partition %d is %+v, want %+v", i, got, want)
			}
			if (part.Err == nil) != (want.says == "") || part.Err != nil && !strings.Contains(part.Err.Error(), want.says) {
				t.Errorf("partition %d has the reason %v, want %q", i, part.Err, want.says)
			}
			if (part.LastErr == nil) != (want.last < 0) {
				t.Errorf("partition %d has the last error %v", i, part.LastErr)
			}
		}
		close(hold)
		peer.Mu.Lock()
		clear(answers)
		peer.Mu.Unlock()
		world.Enqueue(t, p, "3", "c")
		synctest.Wait()
		for _, part := range p.Stats().Partitions {
			if part.ID == "1" || part.ID == "4" {
				continue
			}
			if part.State != eventhubs.HealthReady || part.Err != nil || !part.Since.IsZero() || !part.FailingSince.IsZero() {
				t.Errorf("after its success partition %s is %+v", part.ID, part)
			}
			if part.ID == "3" && (part.LastErr == nil || after(part.LastFailure) != 24*time.Second) {
				t.Errorf("the last failure of partition 3 is %v at %v, want that of 24 s", part.LastErr, part.LastFailure)
			}
		}
		if err := p.Abandon(t.Context()); err == nil {
			t.Error("Abandon returned nil with failed events")
		}
	})
}

// The changes are those of the log, with the same words. Reminders are not among them.
func TestHealthChangesAreThoseOfTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log scripted.Notebook
		start := time.Now()
		peer := scripted.New(t, 4)
		setDown := scripted.Unreachable(peer)
		p := world.Over(peer, eventhubs.Options{Logger: log.Logger(), MaxWaitTime: eventhubs.SendAtOnce})
		if got := p.HealthChanges(); len(got) != 0 {
			t.Errorf("a new producer has the changes %v", got)
		}
		world.Enqueue(t, p, "0", "a")
		time.Sleep(10 * time.Second)
		setDown(true)
		peer.Reopen()
		world.Enqueue(t, p, "1", "a")
		world.Enqueue(t, p, "2", "a")
		time.Sleep(10 * time.Minute)
		setDown(false)
		time.Sleep(5 * time.Minute)
		got := p.HealthChanges()
		want := []struct {
			at         time.Duration
			state      eventhubs.HealthState
			partitions string
		}{{0, eventhubs.HealthReady, "[]"}, {10 * time.Second, eventhubs.HealthUnreachable, ""}, {-1, eventhubs.HealthReady, "[]"}}
		if len(got) != len(want) {
			t.Fatalf("the changes are %v, want %d", got, len(want))
		}
		for i, w := range want {
			c := got[i]
			if c.State != w.state || w.at >= 0 && c.At.Sub(start) != w.at || (c.Err == nil) != (c.State == eventhubs.HealthReady) || c.Omitted != 0 {
				t.Errorf("change %d is %+v, want %+v", i, c, w)
			}
			if w.partitions != "" && fmt.Sprint(c.Partitions) != w.partitions {
				t.Errorf("change %d is of partitions %v, want %s", i, c.Partitions, w.partitions)
			}
			if lines := log.Lines(c.Message); len(lines) != 1 || c.Err != nil && !strings.Contains(lines[0], "no route") {
				t.Errorf("the log has %q for the change %+v, want one line", lines, c)
			}
		}
		if reminders := log.Lines("still fails"); len(reminders) < 9 {
			t.Errorf("the log has %d reminders, want them: this test shows that they are no changes", len(reminders))
		}
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A state that comes and goes for hours does not push out more than the log's own limit lets it.
func TestHealthChangesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		answers := scripted.Answers(peer)
		p := world.Over(peer, eventhubs.Options{Logger: scripted.Unlogged, MaxWaitTime: eventhubs.SendAtOnce, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}})
		for i := range 7200 {
			peer.Mu.Lock()
			if clear(answers); i%2 == 0 {
				answers["0"] = scripted.Refused("no")
			}
			peer.Mu.Unlock()
			world.Enqueue(t, p, "0", "a")
			time.Sleep(time.Second)
		}
		got := p.HealthChanges()
		if len(got) != 64 {
			t.Fatalf("%d changes are kept, want 64", len(got))
		}
		omitted := 0
		for i, c := range got {
			omitted += c.Omitted
			if i > 0 && c.At.Before(got[i-1].At) {
				t.Errorf("change %d is older than the one before", i)
			}
		}
		if reach := time.Since(got[0].At); reach < 6*time.Minute || omitted < 250 {
			t.Errorf("the changes reach back %v and %d were left out, want at least 6 minutes, and about 50 a minute", reach, omitted)
		}
		if err := p.Close(t.Context()); err == nil {
			t.Error("Close returned nil with failed events")
		}
	})
}

// The last of many changes in a minute is left out of the log until the next reminder. Then it is the
// latest change, and counts those before it.
func TestTheStateAfterManyChangesIsAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		peer := scripted.New(t, 1)
		answers := scripted.Answers(peer)
		p := world.Over(peer, eventhubs.Options{Logger: scripted.Unlogged, MaxWaitTime: eventhubs.SendAtOnce, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}})
		for i := range 14 { // ready at even seconds, refused at odd ones
			peer.Mu.Lock()
			if clear(answers); i%2 == 1 {
				answers["0"] = scripted.Refused("no")
			}
			peer.Mu.Unlock()
			world.Enqueue(t, p, "0", "a")
			time.Sleep(time.Second)
		}
		time.Sleep(2 * time.Minute)
		changes := p.HealthChanges()
		if len(changes) != 11 {
			t.Fatalf("the changes are %v, want 10 and the latest", changes)
		}
		last := changes[10]
		if at := last.At.Sub(start); last.State != eventhubs.HealthRefused || last.State != p.Health().State || at != 13*time.Second || last.Omitted != 3 || last.Err == nil {
			t.Errorf("the last change is %+v after %v, want refused after 13s, and 3 changes omitted", last, at)
		}
		if err := p.Close(t.Context()); err == nil {
			t.Error("Close returned nil with failed events")
		}
	})
}

// A Logger that blocks holds up the lines of the log, but not HealthChanges.
func TestHealthChangesDoNotWaitForTheLogger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		peer := scripted.New(t, 1)
		hold := make(chan struct{})
		peer.Answer = func(scripted.Sent) connection.Result {
			<-hold
			return connection.Result{Outcome: connection.Accepted}
		}
		p := world.Over(peer, eventhubs.Options{Logger: slog.New(&blockingHandler{release}), MaxWaitTime: eventhubs.SendAtOnce})
		world.Enqueue(t, p, "0", "a")
		time.Sleep(20 * time.Second)
		got := p.HealthChanges()
		if len(got) == 0 {
			t.Fatal("there are no changes while the Logger blocks")
		}
		last := got[len(got)-1]
		if last.State != eventhubs.HealthSilent || fmt.Sprint(last.Partitions) != "[0]" || last.Err == nil || eventhubs.CodeOf(last.Err) != eventhubs.CodeTimeout {
			t.Errorf("the last change is %+v, want silent", last)
		}
		close(release)
		close(hold)
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

type blockingHandler struct{ release chan struct{} }

func (h *blockingHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo
}
func (h *blockingHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h *blockingHandler) WithGroup(string) slog.Handler      { return h }
func (h *blockingHandler) Handle(context.Context, slog.Record) error {
	<-h.release
	return nil
}

// The history has exact totals at its moments, needs no timer, and stays small.
func TestMomentsHaveTheTotalsOfTheLastMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		answers := scripted.Answers(peer)
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, Logger: scripted.Unlogged, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}})
		world.Enqueue(t, p, "0", "before")
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if got := producerview.Moments(p); len(got) != 1 || got[0].StoredEvents != 1 || !got[0].At.Equal(start) {
			t.Fatalf("the first moments are %+v, want one", got)
		}
		for i := range 3600 { // an event a second for an hour, with a pause of a minute
			if i == 3300 {
				time.Sleep(time.Minute)
			}
			world.Enqueue(t, p, "0", "a")
			synctest.Wait()
			time.Sleep(time.Second)
		}
		got := producerview.Moments(p)
		if reach := time.Since(got[0].At); reach < producerview.Kept || reach > producerview.Kept+2*producerview.Interval || len(got) > 183 {
			t.Errorf("%d moments reach back %v, want at most 183 and 15 minutes", len(got), reach)
		}
		for i, m := range got {
			second := int(m.At.Sub(start) / time.Second)
			if second > 3300 {
				second = max(3300, second-60)
			}
			if want := uint64(1 + second); m.StoredEvents != want || m.StoredBatches != want {
				t.Errorf("moment %d, at second %d, has %d events and %d batches, want %d", i, second, m.StoredEvents, m.StoredBatches, want)
			}
			if i > 0 && i < len(got)-1 && m.At.Sub(got[i-1].At) < producerview.Interval {
				t.Errorf("moment %d is %v after the one before", i, m.At.Sub(got[i-1].At))
			}
		}
		peer.Mu.Lock()
		answers["1"] = scripted.Failing(connection.Error{Code: connection.CodeThrottled, Transient: true, Wait: 10 * time.Second})
		peer.Mu.Unlock()
		world.Enqueue(t, p, "1", "a")
		time.Sleep(time.Minute)
		got = producerview.Moments(p)
		if last := got[len(got)-1]; last.ThrottledTries < 2 || last.Buffered != 1 {
			t.Errorf("after a minute of throttling the moment is %+v", last)
		}
		if err := p.Abandon(t.Context()); !errors.Is(err, eventhubs.ErrAbandoned) {
			t.Errorf("Abandon returned %v", err)
		}
		if last := producerview.Moments(p); last[len(last)-1].NotStoredEvents != 1 {
			t.Errorf("after Abandon the moment is %+v", last[len(last)-1])
		}
	})
}
