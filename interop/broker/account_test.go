package main

import (
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs"
)

// TestTheJudgeOfProducersSeesEveryFault edits the arrivals, or the account, of a producer with five
// batches on one partition. The outcomes are stored, stored at the second try, possibly stored, not
// stored, and stored.
func TestTheJudgeOfProducersSeesEveryFault(t *testing.T) {
	const here, there = "hub/Partitions/0", "hub/Partitions/1"
	events := make([]accepted, 9)
	for i := range events {
		events[i] = accepted{contentOf(batchFormat, newSource().batch(1, i)), here}
	}
	foreign := contentOf(batchFormat, newSource().batch(1, 100))
	batches := func() []reported {
		return []reported{
			{[]int{0, 1}, eventhubs.Stored, 0},
			{[]int{2, 3}, eventhubs.Stored, 1},
			{[]int{4}, eventhubs.PossiblyStored, 1},
			{[]int{5, 6}, eventhubs.NotStored, 0},
			{[]int{7, 8}, eventhubs.Stored, 0},
		}
	}
	for _, test := range []struct {
		name, complaint string
		arrived         []int
		edit            func(*account)
	}{
		{"as reported", "", []int{0, 1, 2, 3, 7, 8}, nil},
		{"the possible one too", "", []int{0, 1, 2, 3, 4, 7, 8}, nil},
		{"a copy after an unknown outcome", "", []int{0, 1, 2, 3, 2, 3, 7, 8}, nil},
		{"the beginning of a batch, then all of it", "", []int{0, 1, 2, 2, 3, 7, 8}, nil},
		{"a batch, then its beginning", "", []int{0, 1, 2, 3, 2, 7, 8}, nil},
		{"a stored one dropped", "event 1 of batch 0 was reported stored and is missing", []int{0, 2, 3, 7, 8}, nil},
		{"a stored batch dropped", "event 2 of batch 1 was reported stored and is missing", []int{0, 1, 7, 8}, nil},
		{"the last dropped", "event 8 of batch 4 was reported stored and is missing", []int{0, 1, 2, 3, 7}, nil},
		{"two of a batch reordered", "event 2 of batch 1 was reported stored and is missing", []int{0, 1, 3, 2, 7, 8}, nil},
		{"two batches reordered", "event 0 of batch 0 was reported stored and is missing", []int{2, 3, 0, 1, 7, 8}, nil},
		{"a copy without an unknown outcome", "arrived 2 times and may 1 times", []int{0, 1, 0, 1, 2, 3, 7, 8}, nil},
		{"a copy too many", "arrived 3 times and may 2 times", []int{0, 1, 2, 3, 2, 3, 2, 3, 7, 8}, nil},
		{"a late copy", "2 events arrived out of order or too often", []int{0, 1, 2, 3, 7, 8, 2, 3}, nil},
		{"the possible one twice", "arrived 2 times and may 1 times", []int{0, 1, 2, 3, 4, 4, 7, 8}, nil},
		{"one that was not stored", "arrived 1 times and may 0 times", []int{0, 1, 2, 3, 5, 7, 8}, nil},
		{"one that was not stored, after an unknown outcome", "arrived 1 times and may 0 times", []int{0, 1, 2, 3, 5, 6, 7, 8}, func(a *account) { a.ended[here][3].unknown = 1 }},
		{"one that was never enqueued", "never enqueued", []int{0, 1, 2, 3, -1, 7, 8}, nil},
		{"once each of an idempotent producer", "", []int{0, 1, 2, 3, 4, 7, 8}, func(a *account) { a.once = true }},
		{"a copy of an idempotent producer", "arrived 2 times and may 1 times", []int{0, 1, 2, 3, 2, 3, 7, 8}, func(a *account) { a.once = true }},
		{"an event without an outcome", "event 6 has 0 outcomes", []int{0, 1, 2, 3, 7, 8}, func(a *account) { a.ended[here][3].events = []int{5} }},
		{"an event with two outcomes", "event 7 has 2 outcomes", []int{0, 1, 2, 3, 7, 8}, func(a *account) {
			a.ended[there] = []reported{{[]int{7}, eventhubs.NotStored, 0}}
			a.events[7].address = ""
		}},
		{"an event elsewhere", "event 7 went to " + there, []int{0, 1, 2, 3}, func(a *account) {
			a.ended[there] = a.ended[here][4:]
			a.ended[here] = a.ended[here][:4]
		}},
		{"batches sent in another order", "event 0 was sent after event 3", []int{2, 3, 0, 1, 7, 8}, func(a *account) {
			a.ended[here][0], a.ended[here][1] = a.ended[here][1], a.ended[here][0]
		}},
	} {
		a := &account{name: "edited", events: append([]accepted(nil), events...), ended: map[string][]reported{here: batches()}}
		if test.edit != nil {
			test.edit(a)
		}
		var arrived []content
		for _, number := range test.arrived {
			if number < 0 {
				arrived = append(arrived, foreign)
				continue
			}
			arrived = append(arrived, events[number].content)
		}
		err := judgeAccounts([]*account{a}, map[string][]content{here: arrived})
		if test.complaint == "" && err != nil || test.complaint != "" && (err == nil || !strings.Contains(err.Error(), test.complaint)) {
			t.Errorf("%s: judged %v, want %q", test.name, err, test.complaint)
		}
	}
}

func TestTheJudgeOfProducersWantsEveryAddressRead(t *testing.T) {
	event := accepted{contentOf(batchFormat, newSource().batch(1, 1)), ""}
	a := &account{name: "one", events: []accepted{event}, ended: map[string][]reported{"hub": {{[]int{0}, eventhubs.Stored, 0}}}}
	if err := judgeAccounts([]*account{a}, map[string][]content{}); err == nil || !strings.Contains(err.Error(), "hub was not read") {
		t.Errorf("judged %v; want a complaint of an address that was not read", err)
	}
}
