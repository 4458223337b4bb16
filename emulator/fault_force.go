package emulator

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxFaults is how many rules a server takes at the same time: each operation looks at all.
const maxFaults = 100

// A Fault is a [FaultRule] that is set on a server.
type Fault struct {
	// ID numbers the faults of a server from 1.
	ID int
	// Rule is the rule. Its seed is given if it has a share.
	Rule FaultRule
	// Matched is how many operations the rule selected while it was in force.
	Matched int
	// Hits is how many of them got the fault.
	Hits int
	// Remaining is how many more may get it; -1 without a count.
	Remaining int
	// Begins is when the rule comes into force, in UTC.
	Begins time.Time
	// Ends is when it goes out of force, in UTC; zero for never.
	Ends time.Time
	// Over says that it has ended, by its time or its count. It stays listed until it is removed.
	Over bool
}

// AddFault sets a fault from the next operation on, and returns its id. It may be called at any
// time. It refuses the zero rule, and a rule for a hub, partition or group that does not exist. A
// rule for a hub that is deleted later stays set, and applies to the next hub of that name.
// AddFault takes at most 100 rules at the same time. Its errors are of type [*FaultRuleError].
//
// A server first asks its hook, then its rules in the order in which they were added. The first
// rule that fires and has an answer (a refusal, a cut, silence) decides the answer, whatever the
// hook wants. A later rule with an answer does not count the operation. Delays of the hook and of
// all rules add up; stalls, closed windows and ignored closes of all of them apply.
//
// The partition's own refusals (throughput units, sequence numbers) come after the rules.
func (s *Server) AddFault(rule FaultRule) (id int, err error) {
	if err := s.checkFault(&rule); err != nil {
		return 0, err
	}
	if rule.share != 0 && !rule.seeded {
		rule.seed, rule.seeded = rand.Uint64N(1_000_000), true // short, since people copy it
	}
	id, added := s.rules.add(rule)
	if !added {
		return 0, wrong(fieldFault, rule.kind.name, "%d rules are set already: clear one first", maxFaults)
	}
	return id, nil
}

// RemoveFault removes a fault by its id; false if there is none.
func (s *Server) RemoveFault(id int) bool {
	return s.rules.remove(func(f *activeFault) bool { return f.id == id }) == 1
}

// RemoveFaults removes all faults that rules have set, and returns their number. A hook stays.
func (s *Server) RemoveFaults() int {
	return s.rules.remove(func(*activeFault) bool { return true })
}

// Faults returns the faults that are set, in the order in which they were added, including those
// that are over.
func (s *Server) Faults() []Fault {
	var out []Fault
	for _, f := range s.rules.all() {
		out = append(out, f.state())
	}
	return out
}

// checkFault refuses a rule for a hub, partition or group that does not exist: it would silently do
// nothing.
func (s *Server) checkFault(rule *FaultRule) error {
	if rule.kind == nil {
		return wrong(fieldFault, "", "the rule is empty: ParseFaultRule makes one")
	}
	if rule.hub == "" {
		return nil
	}
	h := s.hub(rule.hub)
	if h == nil {
		var names []string
		for _, h := range s.namespace.all() {
			if !h.faultFree {
				names = append(names, h.name)
			}
		}
		return wrong(fieldHub, rule.hub, "there is no such hub: create it first, or use one of %s", strings.Join(names, ", "))
	}
	for _, id := range rule.partition {
		if h.partition(id) == nil {
			return wrong(fieldPartition, id, "hub %s has the partitions 0 to %d", h.name, len(h.partitions())-1)
		}
	}
	if rule.group != "" && !h.group(rule.group) {
		return wrong(fieldGroup, rule.group, "hub %s has the consumer groups %s", h.name, strings.Join(h.allGroups(), ", "))
	}
	return nil
}

// faultRules are the rules that are set on a server. The zero value is ready.
type faultRules struct {
	// Atomic: operations read the list without a lock. It is replaced as a whole.
	list atomic.Pointer[[]*activeFault]

	mu   sync.Mutex // held while list is replaced; guards the field below
	last int        // id
}

// all are the rules. The slice must not be modified.
func (r *faultRules) all() []*activeFault {
	if list := r.list.Load(); list != nil {
		return *list
	}
	return nil
}

// add adds a rule; added is false if there are too many.
func (r *faultRules) add(rule FaultRule) (id int, added bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.all()
	if len(list) >= maxFaults {
		return 0, false
	}
	r.last++
	list = append(slices.Clone(list), newActiveFault(r.last, rule))
	r.list.Store(&list)
	return r.last, true
}

// remove removes the rules for which gone is true, and returns their number.
func (r *faultRules) remove(gone func(*activeFault) bool) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.all()
	rest := slices.DeleteFunc(slices.Clone(list), gone)
	r.list.Store(&rest)
	return len(list) - len(rest)
}

// decide returns the action of the rules that fire on an operation, together with the hook's.
func (r *faultRules) decide(op *Operation, faultFree bool, hook Action) Action {
	var out Action
	for _, f := range r.all() {
		action := f.action
		if out.answers() && action.answers() {
			continue
		}
		if f.rule.selects(op, faultFree) && f.fires(op) {
			out = out.with(action)
		}
	}
	return out.with(hook)
}

// answers reports whether the action changes the operation's effect or answer, rather than its
// time.
func (a Action) answers() bool { return a.answer != answerNormal }

// with adds the parts of another action: its answer if this one has none, its delays, and the
// longer stall and closure.
func (a Action) with(b Action) Action {
	out := a
	if !a.answers() {
		out = b
	}
	out.delay = a.delay + b.delay
	if out.answer != answerWithhold { // whose answerDelay is that of the credit
		out.answerDelay = a.answerDelay + b.answerDelay
	}
	out.stall = max(a.stall, b.stall)
	out.window = max(a.window, b.window)
	out.ignoreDetach = a.ignoreDetach || b.ignoreDetach
	out.ignoreClose = a.ignoreClose || b.ignoreClose
	return out
}

// An activeFault is a rule that is set, and its counters.
type activeFault struct {
	// Immutable.
	id     int
	rule   FaultRule
	action Action
	begins time.Time
	ends   time.Time // zero: never
	dice   *dice     // nil without a share

	mu            sync.Mutex // guards the fields below
	matched, hits int
}

func newActiveFault(id int, rule FaultRule) *activeFault {
	f := &activeFault{id: id, rule: rule, action: rule.kind.action(&rule), begins: time.Now().Add(rule.from)}
	if rule.lifetime > 0 {
		f.ends = f.begins.Add(rule.lifetime)
	}
	if rule.share != 0 {
		f.dice = newDice(rule.seed)
	}
	return f
}

// fires counts an operation that the rule selects, and decides whether it gets the fault.
func (f *activeFault) fires(op *Operation) bool {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Before(f.begins) || f.overLocked(now) {
		return false
	}
	f.matched++
	switch {
	case f.dice != nil && f.dice.next(*op).Float64()*100 >= f.rule.share:
		return false
	case f.rule.every != 0 && f.matched%f.rule.every != 0:
		return false
	}
	f.hits++
	return true
}

// overLocked reports whether the rule has ended.
func (f *activeFault) overLocked(now time.Time) bool {
	return !f.ends.IsZero() && !now.Before(f.ends) || f.rule.count != 0 && f.hits >= f.rule.count
}

func (f *activeFault) state() Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := Fault{
		ID: f.id, Rule: f.rule, Matched: f.matched, Hits: f.hits, Remaining: -1, Begins: f.begins.UTC(), Over: f.overLocked(time.Now()),
	}
	if f.rule.count != 0 {
		out.Remaining = f.rule.count - f.hits
	}
	if !f.ends.IsZero() {
		out.Ends = f.ends.UTC()
	}
	return out
}

// addFaults sets the faults of the options.
func (s *Server) addFaults() error {
	for i, rule := range s.options.Faults {
		if _, err := s.AddFault(rule); err != nil {
			return fmt.Errorf("emulator: Options.Faults[%s]: %w", strconv.Itoa(i), err)
		}
	}
	return nil
}
