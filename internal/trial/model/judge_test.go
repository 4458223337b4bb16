package model

import (
	"fmt"
	"slices"
	"testing"

	"github.com/go-eventhubs/eventhubs"
)

// A history holds the observations of one run of the model. Each event's name is unique among all
// lives. A life is a producer from its constructor to its end.
type history struct {
	// Nothing is stored twice, and a partition has the events that its handlers got, in that order.
	exact    bool
	anywhere bool // the service chooses a partition for each try
	accepted []offer
	// The outcomes that the handlers of a life got for a partition, in order.
	told   map[place][]end
	stored map[string][]string // the names in a partition, in the order of its log
	// The lives that have claimed a partition's identity in the shared store, in order.
	claimed map[string][]int
	// Names without an outcome when a Flush that covers them had returned.
	early []string
	late  []string // names without an outcome after a long time without a Flush
	seen  []string // faults that the run itself has seen
}

// An offer is an event that Enqueue accepted, or that a handler enqueued again. The events of one
// stream were enqueued one after the other for one partition.
type offer struct {
	name   string
	life   int
	stream string // empty: any partition, no order
}

type place struct {
	life      int
	partition string
}

// An end is an event's outcome as its handler got it.
type end struct {
	name    string
	storage eventhubs.Storage
}

// A judge looks in a history for contradictions to the guarantees.
type judge struct {
	*history
	faults      []string
	acceptances map[string]int // by name: more than one for an event that a handler enqueued again
	lives       map[string]int
	times       map[string]int // how often a name is stored
	where       map[string]string
	position    map[string]int // of the first appearance
}

// judge returns the contradictions between a history and the guarantees: one true outcome for each
// event, in order. An exact history also has an idempotent producer's guarantees.
func (h *history) judge() []string {
	j := &judge{history: h, acceptances: map[string]int{}, lives: map[string]int{}, times: map[string]int{}, where: map[string]string{}, position: map[string]int{}}
	for _, a := range h.accepted {
		j.acceptances[a.name]++
		j.lives[a.name] = a.life
	}
	j.places()
	j.ends()
	j.streams()
	if h.exact {
		j.order()
		j.takeovers()
	}
	for _, name := range h.early {
		j.fault("Flush returned before %s had an outcome", name)
	}
	for _, name := range h.late {
		j.fault("%s lingers for ever", name)
	}
	return append(j.faults, h.seen...)
}

func (j *judge) fault(format string, args ...any) {
	j.faults = append(j.faults, fmt.Sprintf(format, args...))
}

// once reports whether an event has one place only. An event that was enqueued again may have
// several.
func (j *judge) once(name string) bool { return j.acceptances[name] == 1 }

// places checks that each stored event was accepted, and that a duplicate is in the event's
// partition.
func (j *judge) places() {
	for partition, names := range j.stored {
		for i, name := range names {
			if j.times[name]++; j.times[name] == 1 {
				j.where[name], j.position[name] = partition, i
			} else if j.where[name] != partition && j.once(name) && !j.anywhere {
				j.fault("%s is in partitions %s and %s", name, j.where[name], partition)
			}
		}
	}
	for name := range j.times {
		if j.acceptances[name] == 0 {
			j.fault("%s is stored and was never accepted", name)
		}
	}
}

// ends checks that each acceptance has one outcome, which is true. An exact history has an event as
// often as it was reported as stored, plus at most as often as it was possibly stored.
func (j *judge) ends() {
	outcomes, least, most := map[string]int{}, map[string]int{}, map[string]int{}
	for _, ends := range j.told {
		for _, e := range ends {
			if outcomes[e.name]++; outcomes[e.name] == 1 && j.acceptances[e.name] == 0 {
				j.fault("%s has an outcome and was never accepted", e.name)
			}
			if e.storage == eventhubs.Stored {
				least[e.name]++
			}
			if e.storage != eventhubs.NotStored {
				most[e.name]++
			}
		}
	}
	for name, n := range j.acceptances {
		times := j.times[name]
		switch {
		case outcomes[name] != n:
			j.fault("%s was accepted %d times and has %d outcomes", name, n, outcomes[name])
		case least[name] > 0 && times == 0:
			j.fault("%s was reported as stored and is not there", name)
		case most[name] == 0 && times > 0:
			j.fault("%s was reported as not stored and is there", name)
		case j.exact && (times < least[name] || times > most[name]):
			j.fault("%s is stored %d times; it was reported as stored %d times and as possibly stored %d times", name, times, least[name], most[name]-least[name])
		}
	}
}

// streams checks that events enqueued one after the other are stored in that order.
func (j *judge) streams() {
	last := map[string]string{}
	for _, a := range j.accepted {
		if a.stream == "" || j.times[a.name] == 0 || !j.once(a.name) {
			continue
		}
		if before, ok := last[a.stream]; ok && (j.where[before] != j.where[a.name] || j.position[before] > j.position[a.name]) {
			j.fault("%s is in partition %s at %d, and %s of the same stream in %s at %d", before, j.where[before], j.position[before], a.name, j.where[a.name], j.position[a.name])
		}
		last[a.stream] = a.name
	}
}

// order checks each partition's events of a life: they are in the order in which the handlers got
// them. A possibly stored event is in its place, or missing.
func (j *judge) order() {
	for at, ends := range j.told {
		is := slices.DeleteFunc(slices.Clone(j.stored[at.partition]), func(name string) bool { return j.lives[name] != at.life || !j.once(name) })
		var should []string
		for _, e := range ends {
			switch {
			case slices.Contains(is, e.name):
				should = append(should, e.name)
			case e.storage == eventhubs.Stored && j.once(e.name):
				j.fault("life %d got an outcome for %s in partition %s, where it is not", at.life, e.name, at.partition)
			}
		}
		for i := range min(len(is), len(should)) {
			if is[i] != should[i] {
				j.fault("partition %s has %s where life %d got an outcome for %s", at.partition, is[i], at.life, should[i])
				break
			}
		}
		if len(is) != len(should) {
			j.fault("partition %s has %d events of life %d, which got outcomes for %d of them there", at.partition, len(is), at.life, len(should))
		}
	}
}

// takeovers checks that no event of a life follows an event of a life that has taken over.
func (j *judge) takeovers() {
	for partition, owners := range j.claimed {
		rank := map[int]int{}
		for i, life := range owners {
			rank[life] = i // the last claim counts
		}
		latest := ""
		for _, name := range j.stored[partition] {
			if latest != "" && rank[j.lives[name]] < rank[j.lives[latest]] {
				j.fault("partition %s has %s of life %d after %s of life %d, which had taken over", partition, name, j.lives[name], latest, j.lives[latest])
				break
			}
			latest = name
		}
	}
}

// A judge that finds nothing proves something only if it finds planted faults.
func TestTheJudgeFindsWhatIsWrong(t *testing.T) {
	at := place{1, "0"}
	good := func() *history {
		return &history{
			accepted: []offer{{"a", 1, "s"}, {"b", 1, "s"}, {"c", 1, ""}, {"d", 1, "s"}},
			told:     map[place][]end{at: {{"a", eventhubs.Stored}, {"b", eventhubs.PossiblyStored}, {"c", eventhubs.NotStored}, {"d", eventhubs.Stored}}},
			stored:   map[string][]string{"0": {"a", "b", "b", "d"}, "1": {}},
		}
	}
	find(t, good, map[string]func(*history){
		"an event lost":                  func(h *history) { h.stored["0"] = h.stored["0"][1:] },
		"an outcome lost":                func(h *history) { h.told[at] = h.told[at][1:] },
		"an outcome told twice":          func(h *history) { h.told[at] = append(h.told[at], h.told[at][0]) },
		"a failure that is stored":       func(h *history) { h.stored["1"] = []string{"c"} },
		"two swapped":                    func(h *history) { h.stored["0"] = []string{"d", "b", "a"} },
		"a stream in two partitions":     func(h *history) { h.stored["0"], h.stored["1"] = []string{"a", "b"}, []string{"d"} },
		"a duplicate in another":         func(h *history) { h.stored["1"] = []string{"a"} },
		"an outcome out of nowhere":      func(h *history) { h.told[at] = append(h.told[at], end{"z", eventhubs.Stored}) },
		"a stored event out of nowhere":  func(h *history) { h.stored["1"] = []string{"z"} },
		"enqueued again, told once":      func(h *history) { h.accepted = append(h.accepted, offer{"c", 1, ""}) },
		"a Flush that returns early":     func(h *history) { h.early = []string{"a"} },
		"an event that lingers for ever": func(h *history) { h.late = []string{"a"} },
		"a batch that was not cut":       func(h *history) { h.seen = []string{"2 events fail together"} },
		"stored, but told as not stored": func(h *history) { h.told[at][0].storage = eventhubs.NotStored },
	})
}

func TestTheIdempotentJudgeFindsWhatIsWrong(t *testing.T) {
	at := place{0, "0"}
	good := func() *history {
		return &history{
			exact:    true,
			accepted: []offer{{"a", 0, "s"}, {"b", 0, "s"}, {"c", 0, ""}, {"d", 0, "s"}, {"e", 1, "t"}, {"f", 1, ""}, {"f", 1, ""}, {"g", 0, "s"}},
			told: map[place][]end{
				at:       {{"a", eventhubs.Stored}, {"b", eventhubs.PossiblyStored}, {"c", eventhubs.NotStored}, {"d", eventhubs.Stored}, {"g", eventhubs.PossiblyStored}},
				{1, "0"}: {{"e", eventhubs.Stored}, {"f", eventhubs.PossiblyStored}, {"f", eventhubs.Stored}},
			},
			stored:  map[string][]string{"0": {"a", "b", "d", "e", "f", "f"}, "1": {}},
			claimed: map[string][]int{"0": {0, 0, 1}},
		}
	}
	find(t, good, map[string]func(*history){
		"stored twice":                      func(h *history) { h.stored["0"] = []string{"a", "b", "d", "d", "e", "f"} },
		"stored twice, elsewhere":           func(h *history) { h.stored["1"] = []string{"a"} },
		"possibly stored twice":             func(h *history) { h.stored["0"] = []string{"a", "b", "b", "d", "e", "f"} },
		"an event lost":                     func(h *history) { h.stored["0"] = []string{"b", "d", "e", "f"} },
		"one of two lost":                   func(h *history) { h.stored["0"] = []string{"a", "b", "d", "e"} },
		"a failure that is there":           func(h *history) { h.stored["0"] = []string{"a", "b", "c", "d", "e", "f"} },
		"a failure, told as certain":        func(h *history) { h.told[at][1].storage = eventhubs.NotStored },
		"possibly stored, out of its place": func(h *history) { h.stored["0"] = []string{"a", "d", "b", "e", "f"} },
		"possibly stored, at the end":       func(h *history) { h.stored["0"] = []string{"a", "d", "e", "f", "b"} },
		"two swapped, and told so": func(h *history) {
			h.told[at][0], h.told[at][3] = h.told[at][3], h.told[at][0]
			h.stored["0"] = []string{"d", "b", "a", "e", "f"}
		},
		"a stream in two partitions":          func(h *history) { h.stored["0"], h.stored["1"] = []string{"a", "b", "e", "f"}, []string{"d"} },
		"told for another partition":          func(h *history) { h.stored["0"], h.stored["1"] = []string{"a", "b", "d", "f"}, []string{"e"} },
		"a zombie behind its successor":       func(h *history) { h.stored["0"] = []string{"a", "b", "d", "e", "f", "g"} },
		"an outcome lost":                     func(h *history) { h.told[at] = h.told[at][1:] },
		"an outcome of what nobody enqueued":  func(h *history) { h.told[place{2, "1"}] = []end{{"z", eventhubs.NotStored}} },
		"an event that nobody enqueued":       func(h *history) { h.stored["1"] = []string{"z"} },
		"more often than it was enqueued":     func(h *history) { h.stored["0"] = []string{"a", "b", "d", "e", "f", "f", "f"} },
		"enqueued again, and told once of it": func(h *history) { h.accepted = append(h.accepted, offer{"c", 0, ""}) },
	})
}

// find checks that the judge finds nothing in a good history, and finds each planted fault.
func find(t *testing.T, good func() *history, faults map[string]func(*history)) {
	t.Helper()
	if found := good().judge(); len(found) > 0 {
		t.Errorf("a good history is judged: %v", found)
	}
	for name, spoil := range faults {
		h := good()
		if spoil(h); len(h.judge()) == 0 {
			t.Errorf("%s is not found", name)
		}
	}
}
