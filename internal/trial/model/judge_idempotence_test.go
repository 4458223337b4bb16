package model

import (
	"fmt"
	"slices"
	"testing"

	"github.com/go-eventhubs/eventhubs"
)

// A history is what a run of the idempotent producer's model has observed. An event's name is its own, whoever enqueues it, and a life is a
// producer from its constructor to its end.
type history struct {
	idempotent bool
	accepted   []offer
	told       map[place][]end     // what the handlers of a life were told of a partition, in their order
	stored     map[string][]string // the names in a partition, in the order of its log
	claimed    map[string][]int    // the lives that have claimed a partition's identity in the state that they share, in their order
}

// An offer is an event that Enqueue took, or that a handler has enqueued again. Those of one stream were enqueued one after the other for one partition.
type offer struct {
	name   string
	life   int
	stream string // empty: any partition, no order
}

type place struct {
	life      int
	partition string
}

// judge returns what in a history contradicts the guarantees of an idempotent producer.
func (h *history) judge() (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	acceptances, lives := map[string]int{}, map[string]int{}
	for _, a := range h.accepted {
		acceptances[a.name]++
		lives[a.name] = a.life
	}
	h.judgeTimes(acceptances, fault)
	once := func(name string) bool { return acceptances[name] == 1 } // what is enqueued again has no place of its own
	h.judgeOrder(once, lives, fault)
	h.judgeStreams(once, fault)
	h.judgeLives(lives, fault)
	return faults
}

// judgeTimes: each acceptance has one outcome, and an event is there as often as it was told to be stored, and possibly as often more as it was possibly stored.
func (h *history) judgeTimes(acceptances map[string]int, fault func(string, ...any)) {
	outcomes, least, most, times := map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
	for _, ends := range h.told {
		for _, e := range ends {
			outcomes[e.name]++
			if e.storage == eventhubs.Stored {
				least[e.name]++
			}
			if e.storage != eventhubs.NotStored {
				most[e.name]++
			}
		}
	}
	for _, names := range h.stored {
		for _, name := range names {
			if times[name]++; times[name] == 1 && acceptances[name] == 0 {
				fault("%s is stored and was never accepted", name)
			}
		}
	}
	for name := range outcomes {
		if acceptances[name] == 0 {
			fault("%s has an outcome and was never accepted", name)
		}
	}
	for name, n := range acceptances {
		if outcomes[name] != n {
			fault("%s was accepted %d times and has %d outcomes", name, n, outcomes[name])
		}
		if times[name] < least[name] || times[name] > most[name] {
			fault("%s is stored %d times; it was told as stored %d times and as possibly stored %d times", name, times[name], least[name], most[name]-least[name])
		}
	}
}

// judgeOrder: what a life has stored in a partition is there in the order in which its handlers were told. What was possibly stored is in its place, or not there.
func (h *history) judgeOrder(once func(string) bool, lives map[string]int, fault func(string, ...any)) {
	for at, ends := range h.told {
		is := slices.DeleteFunc(slices.Clone(h.stored[at.partition]), func(name string) bool { return lives[name] != at.life || !once(name) })
		var should []string
		for _, e := range ends {
			switch {
			case slices.Contains(is, e.name):
				should = append(should, e.name)
			case e.storage == eventhubs.Stored && once(e.name):
				fault("life %d was told that %s is in partition %s, where it is not", at.life, e.name, at.partition)
			}
		}
		for i := range min(len(is), len(should)) {
			if is[i] != should[i] {
				fault("partition %s has %s where life %d was told of %s", at.partition, is[i], at.life, should[i])
				break
			}
		}
		if len(is) != len(should) {
			fault("partition %s has %d events of life %d, which was told of %d of them there", at.partition, len(is), at.life, len(should))
		}
	}
}

// judgeStreams: what was enqueued one after the other is stored so.
func (h *history) judgeStreams(once func(string) bool, fault func(string, ...any)) {
	where, position := map[string]string{}, map[string]int{}
	for partition, names := range h.stored {
		for i, name := range names {
			where[name], position[name] = partition, i
		}
	}
	last := map[string]string{}
	for _, a := range h.accepted {
		partition, there := where[a.name]
		if a.stream == "" || !there || !once(a.name) {
			continue
		}
		if before, ok := last[a.stream]; ok && (where[before] != partition || position[before] > position[a.name]) {
			fault("%s is in partition %s at %d, and %s of the same stream in %s at %d", before, where[before], position[before], a.name, partition, position[a.name])
		}
		last[a.stream] = a.name
	}
}

// judgeLives: nothing of a life comes behind an event of one that has taken over.
func (h *history) judgeLives(lives map[string]int, fault func(string, ...any)) {
	for partition, owners := range h.claimed {
		rank := map[int]int{}
		for i, life := range owners {
			rank[life] = i // the last counts
		}
		latest := ""
		for _, name := range h.stored[partition] {
			if latest != "" && rank[lives[name]] < rank[lives[latest]] {
				fault("partition %s has %s of life %d behind %s of life %d, which had taken over", partition, name, lives[name], latest, lives[latest])
				break
			}
			latest = name
		}
	}
}

func TestTheIdempotentJudgeFindsWhatIsWrong(t *testing.T) {
	good := func() *history {
		return &history{
			idempotent: true,
			accepted:   []offer{{"a", 0, "s"}, {"b", 0, "s"}, {"c", 0, ""}, {"d", 0, "s"}, {"e", 1, "t"}, {"f", 1, ""}, {"f", 1, ""}, {"g", 0, "s"}},
			told: map[place][]end{
				{0, "0"}: {{"a", eventhubs.Stored}, {"b", eventhubs.PossiblyStored}, {"c", eventhubs.NotStored}, {"d", eventhubs.Stored}, {"g", eventhubs.PossiblyStored}},
				{1, "0"}: {{"e", eventhubs.Stored}, {"f", eventhubs.PossiblyStored}, {"f", eventhubs.Stored}},
			},
			stored:  map[string][]string{"0": {"a", "b", "d", "e", "f", "f"}, "1": {}},
			claimed: map[string][]int{"0": {0, 0, 1}},
		}
	}
	if faults := good().judge(); len(faults) > 0 {
		t.Errorf("a good history is judged: %v", faults)
	}
	for name, edit := range map[string]func(*history){
		"stored twice":                        func(h *history) { h.stored["0"] = []string{"a", "b", "d", "d", "e", "f"} },
		"stored twice, elsewhere":             func(h *history) { h.stored["1"] = []string{"a"} },
		"possibly stored twice":               func(h *history) { h.stored["0"] = []string{"a", "b", "b", "d", "e", "f"} },
		"an event lost":                       func(h *history) { h.stored["0"] = []string{"b", "d", "e", "f"} },
		"one of two lost":                     func(h *history) { h.stored["0"] = []string{"a", "b", "d", "e"} },
		"a failure that is there":             func(h *history) { h.stored["0"] = []string{"a", "b", "c", "d", "e", "f"} },
		"a failure, told as certain":          func(h *history) { h.told[place{0, "0"}][1].storage = eventhubs.NotStored },
		"possibly stored, out of its place":   func(h *history) { h.stored["0"] = []string{"a", "d", "b", "e", "f"} },
		"possibly stored, at the end":         func(h *history) { h.stored["0"] = []string{"a", "d", "e", "f", "b"} },
		"two swapped, and told so":            func(h *history) { h.swap() },
		"a stream in two partitions":          func(h *history) { h.stored["0"], h.stored["1"] = []string{"a", "b", "e", "f"}, []string{"d"} },
		"told for another partition":          func(h *history) { h.stored["0"], h.stored["1"] = []string{"a", "b", "d", "f"}, []string{"e"} },
		"a zombie behind its successor":       func(h *history) { h.stored["0"] = []string{"a", "b", "d", "e", "f", "g"} },
		"an outcome lost":                     func(h *history) { h.told[place{0, "0"}] = h.told[place{0, "0"}][1:] },
		"an outcome of what nobody enqueued":  func(h *history) { h.told[place{2, "1"}] = []end{{"z", eventhubs.NotStored}} },
		"an event that nobody enqueued":       func(h *history) { h.stored["1"] = []string{"z"} },
		"more often than it was enqueued":     func(h *history) { h.stored["0"] = []string{"a", "b", "d", "e", "f", "f", "f"} },
		"enqueued again, and told once of it": func(h *history) { h.accepted = append(h.accepted, offer{"c", 0, ""}) },
	} {
		h := good()
		if edit(h); len(h.judge()) == 0 {
			t.Errorf("%s is not found", name)
		}
	}
}

func (h *history) swap() {
	told := h.told[place{0, "0"}]
	told[0], told[3] = told[3], told[0]
	h.stored["0"] = []string{"d", "b", "a", "e", "f"}
}
