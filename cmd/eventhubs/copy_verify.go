package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/consumer"
)

// shownDifferences bounds how many differences are shown.
const shownDifferences = 10

// verify compares the target with the source. The sums of this run's events are there already. It
// reads those of earlier runs from the source again, and all of the copy from the target. Its error
// names the differences.
func (c *copying) verify(ctx context.Context) error {
	v := &verification{copying: c}
	stop := c.pub.progress.watch(func() string { return fmt.Sprintf("Verifying: %d events read back", v.read.Load()) })
	err := v.run(ctx)
	stop()
	switch {
	case len(c.differences) > 0:
		shown := c.differences
		if len(shown) > shownDifferences {
			shown = append(slices.Clone(shown[:shownDifferences]), fmt.Sprintf("and %d more differences", len(shown)-shownDifferences))
		}
		differs := errors.New("the target differs from the source:\n  " + strings.Join(shown, "\n  "))
		if err != nil {
			err = fmt.Errorf("where a difference begins was not found: %w", err)
		}
		return errors.Join(differs, err)
	case err != nil:
		return fmt.Errorf("not verified: %w", err)
	}
	c.verified = true
	return nil
}

// A verification compares what was copied.
type verification struct {
	*copying
	read atomic.Int64 // events of the target
	// Events of earlier runs that the source has no more, by the target's partition. There is one
	// source for each, or the verification ends.
	gone map[string]int64
	seen []connection.PartitionProperties // extents of the target
}

func (v *verification) run(ctx context.Context) (err error) {
	want, err := v.sourceSums(ctx)
	if err != nil {
		return fmt.Errorf("the source: %w", err)
	}
	if v.seen, err = v.extents(ctx, v.target, &v.options.to); err != nil {
		return fmt.Errorf("the target: %w", err)
	}
	got, err := v.targetSums(ctx, want)
	if err != nil {
		return fmt.Errorf("the target: %w", err)
	}
	v.differences = v.compare(want, got)
	if v.plan.By == routePartition && len(v.differences) > 0 {
		return v.locate(ctx, want, got)
	}
	return nil
}

// inParallel calls f for each element of a list, and returns all results or the first error.
func inParallel[A, B any](list []A, f func(A) (B, error)) ([]B, error) {
	out, failed := make([]B, len(list)), make([]error, len(list))
	var working sync.WaitGroup
	for i, v := range list {
		working.Go(func() { out[i], failed[i] = f(v) })
	}
	working.Wait()
	return out, cmp.Or(failed...)
}

// walkTo calls take for each event of a partition, up to its extent.
func walkTo(ctx context.Context, v *verification, conn *connection.Conn, of *clientOptions, group string, s start, take func(e *consumer.Event) error) error {
	w := newWalk(conn, of.hub, group, s, until{end: true}, v.process.now)
	defer w.close()
	for {
		events, over, err := w.next(ctx)
		if err != nil {
			return explainReading(group, s.extent.PartitionID, err)
		}
		for i := range events {
			if err := take(&events[i]); err != nil {
				return err
			}
		}
		if over {
			return nil
		}
	}
}

// errEnough ends a walk early.
var errEnough = errors.New("enough was read")

// sourceSums returns the sums of all runs.
func (v *verification) sourceSums(ctx context.Context) (sums, error) {
	want := sums{}
	v.gone = map[string]int64{}
	if v.again {
		extents, err := v.extents(ctx, v.source, &v.options.from)
		if err != nil {
			return nil, err
		}
		type part struct {
			sums sums
			gone int64
		}
		earlier, err := inParallel(v.parts, func(p *copiedPartition) (part, error) {
			s, gone, err := v.earlierSums(ctx, p, extents)
			return part{s, gone}, err
		})
		if err != nil {
			return nil, err
		}
		for i, e := range earlier {
			want.follow(e.sums)
			if e.gone > 0 && v.plan.By == routeKey {
				return nil, fmt.Errorf("partition %s no longer has %s that earlier runs have copied, so that the keys cannot be compared", v.parts[i].id, counted(int(e.gone), "event", "events"))
			}
			v.gone[v.parts[i].into] = e.gone
		}
	}
	want.follow(v.sums)
	return want, nil
}

// earlierSums reads again what earlier runs have copied of a partition. Gone is how many sequence
// numbers of it have no event any more.
func (v *verification) earlierSums(ctx context.Context, p *copiedPartition, extents []connection.PartitionProperties) (s sums, gone int64, err error) {
	if p.before < 0 {
		return nil, 0, nil
	}
	at, first, err := v.earlierStart(p, extents)
	if err != nil {
		return nil, 0, err
	}
	s = sums{}
	next := first
	digests := newDigester(v.plan.Described)
	err = walkTo(ctx, v, v.source, &v.options.from, v.options.group, at, func(e *consumer.Event) error {
		if next >= 0 && e.Placed {
			gone += e.SequenceNumber - next
			next = -1
		}
		if v.copies(p, e) {
			s.add(v.group(&e.Message, p.into), p.id, digests.of(&e.Message))
		}
		return nil
	})
	if next >= 0 {
		gone = p.before + 1 - next // there is none any more
	}
	return s, gone, err
}

// earlierStart returns the start of the first run in a partition, up to the place at which this one
// began. First is the sequence number there; -1 if it is not known.
func (v *verification) earlierStart(p *copiedPartition, extents []connection.PartitionProperties) (at start, first int64, err error) {
	i := slices.IndexFunc(extents, func(e connection.PartitionProperties) bool { return e.PartitionID == p.id })
	if i < 0 {
		return at, -1, noPartition(v.options.from.hub, p.id, idsOf(extents))
	}
	extent := extents[i]
	extent.LastEnqueuedSequenceNumber = p.before
	since := v.plan.Partitions[p.number].Since
	if at, err = startAt(since, extent); err != nil {
		return at, -1, err
	}
	first = -1
	if from, err := parsePosition("", since, v.process.now()); err == nil && from.sequence != nil {
		first = *from.sequence
	}
	return at, first, nil
}

// copies reports whether an event is one that is copied: not one that is left out.
func (v *verification) copies(p *copiedPartition, e *consumer.Event) bool {
	if e.Err != nil {
		return false
	}
	event, err := v.event(p, e)
	return err == nil && isTaken(event)
}

// targetSums reads the copy.
func (v *verification) targetSums(ctx context.Context, want sums) (sums, error) {
	all, err := inParallel(v.plan.Into, func(planned planTarget) (sums, error) {
		s := sums{}
		digests := newDigester(v.plan.Described)
		at, err := v.targetStart(planned, want)
		if err != nil {
			return nil, err
		}
		return s, walkTo(ctx, v, v.target, &v.options.to, defaultGroup, at, func(e *consumer.Event) error {
			v.read.Add(1)
			d := digest{} // an event that cannot be read is no copy
			if e.Err == nil {
				d = digests.of(&e.Message)
			}
			s.add(v.group(&e.Message, planned.ID), planned.ID, d)
			return nil
		})
	})
	got := sums{}
	for _, s := range all {
		got.follow(s)
	}
	return got, err
}

// targetStart returns where the copy begins in a partition of the target. The copies of events that
// the source has no more come before.
func (v *verification) targetStart(planned planTarget, want sums) (at start, err error) {
	i := slices.IndexFunc(v.seen, func(e connection.PartitionProperties) bool { return e.PartitionID == planned.ID })
	if i < 0 {
		return at, noPartition(v.options.to.hub, planned.ID, idsOf(v.seen))
	}
	extent := v.seen[i]
	if extent.LastEnqueuedSequenceNumber < planned.Last {
		return at, fmt.Errorf("partition %s ends at sequence number %d, and ended at %d when the copy began: it is another hub of this name now", planned.ID, extent.LastEnqueuedSequenceNumber, planned.Last)
	}
	first := planned.Last + 1
	if gone := v.gone[planned.ID]; gone > 0 {
		remaining := 0
		if s := want[group{partition: planned.ID}]; s != nil {
			remaining = s.count
		}
		first += min(max(extent.LastEnqueuedSequenceNumber-planned.Last-int64(remaining), 0), gone)
	}
	if first <= extent.LastEnqueuedSequenceNumber && (extent.IsEmpty || extent.BeginningSequenceNumber > first) {
		return at, fmt.Errorf("partition %s no longer has all events of the copy, which begin at sequence number %d: its retention has dropped some", planned.ID, first)
	}
	return startAt(fmt.Sprint("sequence:", first), extent)
}

// compare names the differences between the source and the target.
func (v *verification) compare(want, got sums) (found []string) {
	all := maps.Clone(want)
	maps.Copy(all, got)
	for _, g := range slices.SortedFunc(maps.Keys(all), func(a, b group) int {
		return cmp.Or(cmp.Compare(len(a.partition), len(b.partition)), cmp.Compare(a.partition, b.partition), cmp.Compare(a.key, b.key))
	}) {
		if text := differ(want[g], got[g]); text != "" {
			found = append(found, v.name(g)+": "+text)
		}
	}
	return found
}

// name returns the name of a group.
func (v *verification) name(g group) string {
	switch {
	case g.key != "":
		return fmt.Sprintf("key %q", g.key)
	case v.plan.By == routeKey:
		return "events without a key in partition " + g.partition
	}
	return "partition " + g.partition
}

// differ says how two sums differ; "" if they do not. Nil is the sum of nothing.
func differ(want, got *sum) string {
	var none sum
	if want == nil {
		want = &none
	}
	if got == nil {
		got = &none
	}
	switch {
	case got.count < want.count:
		return fmt.Sprintf("%d of %d events are in the target", got.count, want.count)
	case got.count > want.count:
		return fmt.Sprintf("%s in the target, and %d in the source: some are stored twice, or another program has published", counted(got.count, "event is", "events are"), want.count)
	case got.total != want.total:
		return fmt.Sprintf("%s in both, and the contents differ", counted(want.count, "event is", "events are"))
	case got.mixed:
		return "its events are in several partitions of the target"
	case !want.mixed && got.chain != want.chain:
		return fmt.Sprintf("the same %s, in another order", counted(want.count, "event", "events"))
	}
	return ""
}
