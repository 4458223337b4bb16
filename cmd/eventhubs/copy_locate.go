package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/consumer"
)

const (
	// locatedEvents bounds how many events of a partition are searched for the first difference. Each
	// takes 24 bytes.
	locatedEvents = 4 << 20

	// window is how many events from the first difference on are compared one by one.
	window = 1000
)

// locate adds to each difference of a partition where it begins. It reads those partitions again.
func (v *verification) locate(ctx context.Context, want, got sums) error {
	extents, err := v.extents(ctx, v.source, &v.options.from)
	if err != nil {
		return err
	}
	for i := range v.differences {
		for _, p := range v.parts {
			g := group{partition: p.into}
			if v.differences[i] != v.name(g)+": "+differ(want[g], got[g]) {
				continue
			}
			text, err := v.firstDifference(ctx, p, extents, want)
			if err != nil {
				return err
			}
			v.differences[i] += text
			break
		}
	}
	return nil
}

// firstDifference says where the first difference is in a partition. It returns "" if it finds none
// in the events that it searches.
func (v *verification) firstDifference(ctx context.Context, p *copiedPartition, extents []connection.PartitionProperties, want sums) (string, error) {
	var numbers []int64
	var digests []digest
	all := *p
	all.before = p.last // of this run, too
	at, _, err := v.earlierStart(&all, extents)
	if err != nil {
		return "", err
	}
	d := newDigester(v.plan.Described)
	err = walkTo(ctx, v, v.source, &v.options.from, v.options.group, at, func(e *consumer.Event) error {
		if v.copies(p, e) {
			numbers, digests = append(numbers, e.SequenceNumber), append(digests, d.of(&e.Message))
		}
		if len(digests) == locatedEvents {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return "", err
	}
	i := slices.IndexFunc(v.plan.Into, func(t planTarget) bool { return t.ID == p.into })
	if at, err = v.targetStart(v.plan.Into[i], want); err != nil {
		return "", err
	}
	equal := 0
	s := &sequence{}
	err = walkTo(ctx, v, v.target, &v.options.to, defaultGroup, at, func(e *consumer.Event) error {
		var got digest
		if e.Err == nil {
			got = d.of(&e.Message)
		}
		if len(s.others) == 0 && equal < len(digests) && digests[equal] == got {
			equal++
			return nil
		}
		if s.others = append(s.others, got); len(s.others) == window {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return "", err
	}
	return s.describe(numbers, digests, equal), nil
}

// describe compares the events of the target from the first difference on with those of the source.
// Before it, so many are equal.
func (s *sequence) describe(numbers []int64, digests []digest, equal int) string {
	if len(s.others) == 0 && equal == len(digests) || len(digests) == locatedEvents && equal >= len(digests)-window {
		return ""
	}
	for i := range digests[:equal] {
		s.sent = append(s.sent, sentEvent{digests[i], i + 1})
	}
	s.matched = equal
	end := len(digests)
	if len(s.others) == window {
		end = min(end, equal+window)
	}
	for i := equal; i < end; i++ {
		s.sent = append(s.sent, sentEvent{digests[i], i + 1})
	}
	lost, repeated, foreign, disordered := s.compare()
	if len(s.others) == window {
		lost = nil // they may come later
	}
	first := fmt.Sprintf("; the first %s equal", counted(equal, "event is", "events are"))
	if equal < len(numbers) {
		first += fmt.Sprintf(", up to the event with sequence number %d of the source", numbers[equal])
	}
	parts := []string{first}
	for _, part := range []struct {
		n    int
		text string
	}{{len(lost), "missing"}, {repeated, "there twice"}, {foreign, "not of the source"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("from there %d %s", part.n, part.text))
		}
	}
	if disordered > 0 {
		parts = append(parts, fmt.Sprintf("the event with sequence number %d comes too late", numbers[disordered-1]))
	}
	return strings.Join(parts, "; ")
}
