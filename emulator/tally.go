package emulator

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"
)

// A FaultTally counts one kind of deliberate fault since the server started.
type FaultTally struct {
	// Kind of the operations.
	Kind Kind
	// Hub of the operations; empty if none.
	Hub string
	// What names the fault in words: the text of [Action.String], or "throttled" if the throughput
	// units were used up.
	What string
	// Count of the operations.
	Count int
	// Last is when it last happened, in UTC.
	Last time.Time
}

// maxTallies bounds the number of separate counts. Further faults are counted together, without a
// hub.
const maxTallies = 200

// A faultTally counts deliberate faults. The zero value is ready.
type faultTally struct {
	mu     sync.Mutex // guards the field below
	counts map[faultKey]*faultCount
}

// A faultKey is shared by operations that are counted together: the action of the hook and the
// rules, or throttling. With neither it stands for the rest of a kind.
type faultKey struct {
	kind      Kind
	hub       string
	action    Action // in the form of tallied
	throttled bool
}

func (k faultKey) String() string {
	switch {
	case k.throttled:
		return "throttled"
	case k.action == Action{}:
		return "others"
	default:
		return k.action.String()
	}
}

type faultCount struct {
	n    int
	last time.Time
}

// tallied is the action without its texts and durations.
func (a Action) tallied() Action {
	for _, d := range []*time.Duration{&a.delay, &a.answerDelay, &a.stall, &a.window} {
		*d = min(*d, 1)
	}
	a.text, a.refused = "", nil
	return a
}

// note counts an action of the hook and the rules.
func (f *faultTally) note(op Operation, action Action) {
	f.count(faultKey{kind: op.Kind, hub: op.Hub, action: action.tallied()})
}

// noteThrottled counts an operation that was throttled.
func (f *faultTally) noteThrottled(op Operation) {
	f.count(faultKey{kind: op.Kind, hub: op.Hub, throttled: true})
}

func (f *faultTally) count(key faultKey) {
	now := time.Now().UTC()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.counts == nil {
		f.counts = make(map[faultKey]*faultCount)
	}
	if f.counts[key] == nil && len(f.counts) >= maxTallies {
		key = faultKey{kind: key.kind}
	}
	count := f.counts[key]
	if count == nil {
		count = &faultCount{}
		f.counts[key] = count
	}
	count.n++
	count.last = now
}

// all are the counts, latest first.
func (f *faultTally) all() []FaultTally {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []FaultTally
	for key, count := range f.counts {
		all = append(all, FaultTally{Kind: key.kind, Hub: key.hub, What: key.String(), Count: count.n, Last: count.last})
	}
	slices.SortFunc(all, func(a, b FaultTally) int {
		return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.Kind, b.Kind), strings.Compare(a.Hub, b.Hub), strings.Compare(a.What, b.What))
	})
	return all
}

// String describes the action in a few words, without durations and texts, for example "reject
// com.microsoft:server-busy" or "cut, but stored".
func (a Action) String() string {
	var words []string
	switch a.answer {
	case answerAccept:
		words = append(words, "accept without effect")
	case answerReject:
		words = append(words, "reject "+a.condition)
	case answerRelease:
		words = append(words, "release")
	case answerModify:
		words = append(words, "modify")
	case answerSilence:
		words = append(words, "no answer")
	case answerCut:
		words = append(words, "cut")
	case answerDetach:
		words = append(words, "detach "+a.condition)
	case answerClose:
		words = append(words, "close "+a.condition)
	case answerWithhold:
		words = append(words, "withhold credit")
	}
	if a.stored && a.answer != answerNormal {
		words = append(words, "but stored")
	}
	for _, more := range []struct {
		on   bool
		word string
	}{
		{a.delay > 0, "delay"}, {a.answerDelay > 0 && a.answer != answerWithhold, "answer late"}, {a.stall > 0, "stop reading"},
		{a.window > 0, "close the window"}, {a.ignoreDetach, "ignore the detach"}, {a.ignoreClose, "ignore the close"},
	} {
		if more.on {
			words = append(words, more.word)
		}
	}
	if len(words) == 0 {
		return "pass"
	}
	return strings.Join(words, ", ")
}
