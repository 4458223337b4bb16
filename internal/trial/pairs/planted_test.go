package pairs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs"
)

// A judge that finds nothing proves something only if it finds planted faults.
func TestTheJudgeOfPairsFindsWhatIsPlanted(t *testing.T) {
	never, begin := errors.New("never"), time.Unix(0, 0)
	good := func() *pairLedger {
		l := &pairLedger{closed: 100, traced: true, rules: pairRules{ordered: true, handlers: true, gapless: true, stops: true, partitions: 3, bytes: 1000, link: 1000, within: time.Minute, reasons: []error{never},
			mapping: func(string) map[string]bool { return map[string]bool{"0": true} }}}
		ends := map[string]eventhubs.Outcome{
			"stored": {Storage: eventhubs.Stored, Tries: 2}, "failed": {Storage: eventhubs.NotStored, Err: never, Tries: 1}, "possibly": {Storage: eventhubs.PossiblyStored, Err: never, Tries: 1},
		}
		for i, e := range []struct{ partition, key, end string }{
			{"0", "", "stored"}, {"", "k", "stored"}, {"0", "", "possibly"}, {"1", "", "stored"}, {"1", "", "failed"}, {"", "", "stored"},
		} {
			event := storedEvent{partition: e.partition, key: e.key, id: i, body: fmt.Sprint("body", i), contentType: "t", note: "n"}
			end := ends[e.end]
			l.offers = append(l.offers, &pairOffer{id: i, call: "Enqueue", event: event, began: int64(10 * i), ended: int64(10*i + 1), at: begin, accepted: true,
				delivery: new(eventhubs.Delivery), outcome: end})
			if event.partition == "" {
				// The last event goes elsewhere, since both others have failed.
				event.partition = map[string]string{"k": "0", "": "2"}[event.key]
			}
			l.calls = append(l.calls, &handlerCall{partition: event.partition, outcome: end, ids: []int{i}, began: int64(10*i + 4), ended: int64(10*i + 5), at: begin})
			if end.Err == nil {
				l.stored = append(l.stored, event)
			}
		}
		l.offers = append(l.offers, &pairOffer{id: 6, call: "TryEnqueue", err: eventhubs.ErrBufferFull}, &pairOffer{id: 7, call: "Enqueue", began: 100, ended: 101, err: eventhubs.ErrClosed})
		l.waits = []pairWait{{call: "Flush", at: begin, began: 33, ended: 40, most: time.Second}, {call: "Close", began: 100, ended: 102, err: &eventhubs.UndeliveredError{NotStored: 1, PossiblyStored: 1, Err: never}, most: time.Second}}
		l.statsStored, l.statsFailed, l.statsPossibly, l.traceAccepted, l.traceSettled = 4, 1, 1, 6, 6
		return l
	}
	if faults := judgeLedger(good()); len(faults) > 0 {
		t.Fatalf("a good ledger is judged:\n%s", strings.Join(faults, "\n"))
	}
	idempotent := func(l *pairLedger) { l.rules.idempotent = true }
	for what, plant := range map[string]func(*pairLedger){
		"is stored 0 times":                  func(l *pairLedger) { l.stored = l.stored[1:] },
		"has 0 outcomes":                     func(l *pairLedger) { l.calls = l.calls[1:] },
		"has 2 outcomes":                     func(l *pairLedger) { l.calls = append(l.calls, l.calls[5]) },
		"its Delivery has an outcome: false": func(l *pairLedger) { l.offers[0].outcome = eventhubs.Outcome{} },
		"its Delivery has an outcome: true": func(l *pairLedger) {
			l.offers[6].delivery, l.offers[6].outcome.Storage = new(eventhubs.Delivery), eventhubs.NotStored
		},
		"the Delivery":                func(l *pairLedger) { l.offers[2].outcome.Storage = eventhubs.NotStored },
		"with the error":              func(l *pairLedger) { l.calls[0].outcome.Err = never },
		"failed without a reason: th": func(l *pairLedger) { l.calls[4].outcome.Err = eventhubs.ErrExpired },
		"failed without a reason: cl": func(l *pairLedger) { l.calls[4].outcome.Err = eventhubs.ErrCleared },
		"failed without a reason: pa": func(l *pairLedger) {
			l.rules.stops = false
			l.calls[4].outcome.Err = fmt.Errorf("pa: %w: %w", eventhubs.ErrPartitionStopped, never)
		},
		"failed without a reason: un": func(l *pairLedger) { l.calls[4].outcome.Err = eventhubs.ErrPartitionUnknown },
		"failed without a reason: ev": func(l *pairLedger) {
			l.calls[4].outcome.Err = &eventhubs.Error{Code: eventhubs.CodeTimeout, Err: never}
		},
		"without a reason: eventhubs: busy": func(l *pairLedger) {
			l.rules.faults, l.rules.patient = true, true
			l.calls[4].outcome.Err = &eventhubs.Error{Code: eventhubs.CodeThrottled, Err: errors.New("busy")}
		},
		"was first tried 1s after it had":  func(l *pairLedger) { l.offers[0].expires = begin.Add(-time.Second) },
		"after its acceptance":             func(l *pairLedger) { l.calls[0].at = begin.Add(time.Hour) },
		"reported and never offered":       func(l *pairLedger) { l.calls[0].ids = append(l.calls[0].ids, 99) },
		"stored and was never offered":     func(l *pairLedger) { l.stored = append(l.stored, storedEvent{partition: "0", id: 99}) },
		"and is stored":                    func(l *pairLedger) { l.stored = append(l.stored, storedEvent{partition: "0", id: 6}) },
		"is stored 1 times":                func(l *pairLedger) { l.stored = append(l.stored, l.offers[4].event) },
		"is stored 3 times":                func(l *pairLedger) { l.stored = append(l.stored, l.offers[0].event, l.offers[0].event) },
		"between 1 and 1":                  func(l *pairLedger) { idempotent(l); l.stored = append(l.stored, l.offers[0].event) },
		"another content: key":             func(l *pairLedger) { l.stored[0].body = "x" },
		`key "", type`:                     func(l *pairLedger) { l.stored[1].key = "" },
		`note "other"`:                     func(l *pairLedger) { l.stored[1].note = "other" },
		"want 0":                           func(l *pairLedger) { l.stored[0].partition = "1" },
		"with the key":                     func(l *pairLedger) { l.stored[1].partition = "1" },
		"is in partitions":                 func(l *pairLedger) { l.stored = append(l.stored, l.stored[3]); l.stored[4].partition = "1" },
		"was reported in partition":        func(l *pairLedger) { l.calls[5].partition = "1" },
		"in no partition":                  func(l *pairLedger) { l.calls[0].partition = "" },
		"comes before 0, in partition 0":   func(l *pairLedger) { slices.Reverse(l.stored) },
		"comes before 0, outcomes of":      func(l *pairLedger) { l.calls[0].began, l.calls[0].ended = 98, 99 },
		"run at once":                      func(l *pairLedger) { l.calls[0].ended = 15 },
		"after 4, which has failed":        func(l *pairLedger) { l.stored[3].partition, l.calls[5].partition = "1", "1" },
		"before the outcome of [1]":        func(l *pairLedger) { l.waits[0].missing = []int{1} },
		"before the outcome of [3]":        func(l *pairLedger) { l.waits[1].missing = []int{3} },
		"which it covers, has failed":      func(l *pairLedger) { l.calls[2].at = begin.Add(time.Second) },
		"because of it [4] have failed":    func(l *pairLedger) { l.calls[4].outcome.Err = eventhubs.ErrAbandoned; l.waits[1].err = nil },
		"returned 1 of 2 failures":         func(l *pairLedger) { l.waits[1].err = &eventhubs.UndeliveredError{NotStored: 1, Err: never} },
		"longer than":                      func(l *pairLedger) { l.waits[0].took = time.Hour },
		"Flush returned never":             func(l *pairLedger) { l.waits[0].err = never },
		"Enqueue with the buffer is full":  func(l *pairLedger) { l.offers[6].call = "Enqueue" },
		"Enqueue with the producer is cl":  func(l *pairLedger) { l.offers[7].ended = 99 },
		"refused by TryEnqueue with never": func(l *pairLedger) { l.offers[6].err = never },
		"with context deadline exceeded":   func(l *pairLedger) { l.offers[6].err = context.DeadlineExceeded },
		"with the event is too large":      func(l *pairLedger) { l.offers[6].err = eventhubs.ErrEventTooLarge },
		"with the event has expired":       func(l *pairLedger) { l.offers[6].err = eventhubs.ErrExpired },
		"with unknown partition":           func(l *pairLedger) { l.offers[6].err = eventhubs.ErrPartitionUnknown },
		"with the partition is stopped":    func(l *pairLedger) { l.rules.stops = false; l.offers[6].err = eventhubs.ErrPartitionStopped },
		"failed without a reason: the producer is closed": func(l *pairLedger) {
			l.rules.journal, l.rules.reasons = true, []error{never, eventhubs.ErrClosed}
			l.calls[4].outcome.Err = eventhubs.ErrClosed
		},
		"failed without a reason: abandoned": func(l *pairLedger) { // and not refused, although an earlier event was
			l.rules.journal, l.rules.faults = true, true
			l.calls[4].outcome.Err = fmt.Errorf("%w; %w", eventhubs.ErrAbandoned, &eventhubs.Error{Code: eventhubs.CodeRejected, Err: never})
		},
		"the journal had 0 events": func(l *pairLedger) {
			l.rules.journal, l.offers[0].outcome = true, eventhubs.Outcome{Err: eventhubs.ErrKept}
		},
		"the second life has not stored it": func(l *pairLedger) {
			l.rules.journal, l.kept, l.stored = true, 1, l.stored[1:]
			l.offers[0].outcome = eventhubs.Outcome{Err: eventhubs.ErrKept}
		},
		"before the outcome of [2]": func(l *pairLedger) { // 0 kept is complete
			l.rules.journal = true
			l.waits[1].missing = []int{2}
		},
		"1 events, 0 bytes":       func(l *pairLedger) { l.left[0] = 1 },
		"0 events, 7 bytes":       func(l *pairLedger) { l.left[1] = 7 },
		"counted 5 outcomes of 6": func(l *pairLedger) { l.statsFailed = 0 },
		"counted 3, 2 and 1":      func(l *pairLedger) { l.statsStored, l.statsFailed = 3, 2 },
		"the trace got 5":         func(l *pairLedger) { l.traceAccepted = 5 },
		"the outcomes of 7":       func(l *pairLedger) { l.traceSettled = 7 },
	} {
		l := good()
		plant(l)
		if faults := judgeLedger(l); !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, what) }) {
			t.Errorf("%q is not found, only %q", what, faults)
		}
	}
}
