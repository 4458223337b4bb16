package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/go-eventhubs/eventhubs"
)

// An account is what a producer accepted and reported.
type account struct {
	name   string
	once   bool                  // the broker stores a repeated batch once
	events []accepted            // by number
	ended  map[string][]reported // batches by address, in the order of their outcomes
}

// An accepted is an event that Enqueue accepted.
type accepted struct {
	content
	address string // where it must go; empty if the producer chooses
}

// A reported is a batch with its outcome.
type reported struct {
	events  []int // by number
	storage eventhubs.Storage
	unknown int // its tries with an unknown outcome
}

// judgeAccounts compares the producers' accounts with the arrivals at each address. Every accepted
// event has one outcome, at the right address and in order. Stored events arrive, others do not,
// and the order is that of the accounts. Arrivals may repeat a batch, or its beginning, directly
// after the first ones, once for each try with an unknown outcome. Those of an idempotent producer
// may not.
func judgeAccounts(accounts []*account, arrivals map[string][]content) error {
	type event struct {
		owner  *account
		number int
	}
	known := make(map[content]event)
	for _, a := range accounts {
		if err := a.check(); err != nil {
			return fmt.Errorf("producer %s: %w", a.name, err)
		}
		for address := range a.ended {
			if _, ok := arrivals[address]; !ok {
				return fmt.Errorf("producer %s: %s was not read", a.name, address)
			}
		}
		for number, e := range a.events {
			known[e.content] = event{a, number}
		}
	}
	for _, address := range slices.Sorted(maps.Keys(arrivals)) {
		numbers := make(map[*account][]int)
		for _, c := range arrivals[address] {
			e, ok := known[c]
			if !ok {
				return fmt.Errorf("%s: an event arrived that was never enqueued: %v", address, c)
			}
			numbers[e.owner] = append(numbers[e.owner], e.number)
		}
		for _, a := range accounts {
			if err := judgeRuns(a.ended[address], numbers[a], a.once); err != nil {
				return fmt.Errorf("producer %s, %s: %w", a.name, address, err)
			}
		}
	}
	return nil
}

// check wants each event to have one outcome, at its address, and each address to have its events
// in order.
func (a *account) check() error {
	outcomes := make([]int, len(a.events))
	for address, batches := range a.ended {
		last := -1
		for _, b := range batches {
			for _, number := range b.events {
				if number <= last {
					return fmt.Errorf("%s: event %d was sent after event %d", address, number, last)
				}
				last = number
				outcomes[number]++
				if want := cmp.Or(a.events[number].address, address); want != address {
					return fmt.Errorf("event %d went to %s, want %s", number, address, want)
				}
			}
		}
	}
	for number, n := range outcomes {
		if n != 1 {
			return fmt.Errorf("event %d has %d outcomes, want 1", number, n)
		}
	}
	return nil
}

// judgeRuns compares one producer's batches for one address with the numbers of its events that
// arrived there.
func judgeRuns(batches []reported, numbers []int, once bool) error {
	rest := numbers
	for i, b := range batches {
		runs, longest := 0, 0
		for n := common(b.events, rest); n > 0; n = common(b.events, rest) {
			rest = rest[n:]
			longest = max(longest, n)
			runs++
		}
		most := b.unknown
		if b.storage == eventhubs.Stored {
			most++
			if longest < len(b.events) {
				return fmt.Errorf("event %d of batch %d was reported stored and is missing; the next arrivals are %v", b.events[longest], i, first(rest, 5))
			}
		}
		if b.storage == eventhubs.NotStored {
			most = 0
		}
		if once {
			most = min(most, 1)
		}
		if runs > most {
			return fmt.Errorf("batch %d, from event %d, arrived %d times and may %d times: it was reported as %v, with %d tries of unknown outcome",
				i, b.events[0], runs, most, b.storage, b.unknown)
		}
	}
	if len(rest) > 0 {
		return fmt.Errorf("%d events arrived out of order or too often, at first %v", len(rest), first(rest, 5))
	}
	return nil
}

// common returns the length of the common beginning.
func common(a, b []int) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

func first(numbers []int, n int) []int { return numbers[:min(n, len(numbers))] }
