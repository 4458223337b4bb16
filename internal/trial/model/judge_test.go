package model

import (
	"fmt"
	"slices"
	"testing"

	"github.com/go-eventhubs/eventhubs"
)

// A trace is what a run of the model observed.
type trace struct {
	accepted []accepted
	told     []end
	stored   map[string][]string // partition to names, in the order of the partition's log
	anywhere bool                // the service chooses partitions, anew for each try
	early    []string            // names without an outcome when a Flush that covers them had returned
	late     []string            // names without an outcome when nobody had flushed, and time had passed that is enough for any
	sizes    []string            // what is wrong with how batches ended for their size
}

// An accepted is an event that Enqueue took. Those of one stream were enqueued one after the other for one partition.
type accepted struct {
	name   string
	stream string // empty: any partition, no order
}

// An end is an event's outcome as the handler was told it.
type end struct {
	name    string
	storage eventhubs.Storage
}

// judge returns what in a trace contradicts the guarantees: one outcome each, told truly, in order.
func judge(t trace) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }

	ends := map[string][]eventhubs.Storage{}
	for _, e := range t.told {
		ends[e.name] = append(ends[e.name], e.storage)
	}
	acceptances := map[string]int{} // more than one for what a handler has enqueued again
	for _, a := range t.accepted {
		acceptances[a.name]++
	}
	times := map[string]int{}
	where := map[string]string{}
	position := map[string]int{} // of the first appearance
	for partition, names := range t.stored {
		for i, name := range names {
			if times[name]++; times[name] == 1 {
				where[name], position[name] = partition, i
			} else if where[name] != partition && acceptances[name] == 1 && !t.anywhere {
				fault("%s is in partitions %s and %s", name, where[name], partition)
			}
		}
	}
	last := map[string]accepted{}
	for _, a := range t.accepted {
		if n := len(ends[a.name]); n != acceptances[a.name] {
			fault("%s was accepted %d times and has %d outcomes", a.name, acceptances[a.name], n)
			continue
		}
		switch told := ends[a.name]; {
		case slices.Contains(told, eventhubs.Stored) && times[a.name] == 0:
			fault("%s was told as stored and is not there", a.name)
		case times[a.name] > 0 && !slices.ContainsFunc(told, func(s eventhubs.Storage) bool { return s != eventhubs.NotStored }):
			fault("%s was told as not stored and is there", a.name)
		}
		if a.stream == "" || times[a.name] == 0 || acceptances[a.name] > 1 {
			continue
		}
		if before, ok := last[a.stream]; ok {
			if where[before.name] != where[a.name] {
				fault("%s and %s of one stream are in partitions %s and %s", before.name, a.name, where[before.name], where[a.name])
			} else if position[before.name] > position[a.name] {
				fault("%s comes before %s in its partition", a.name, before.name)
			}
		}
		last[a.stream] = a
	}
	for _, name := range t.early {
		fault("Flush returned before the outcome of %s was told", name)
	}
	for _, name := range t.late {
		fault("%s lingers for ever", name)
	}
	faults = append(faults, t.sizes...)
	for name := range ends {
		if acceptances[name] == 0 {
			fault("%s has an outcome and was never accepted", name)
		}
	}
	for name := range times {
		if acceptances[name] == 0 {
			fault("%s is stored and was never accepted", name)
		}
	}
	return faults
}

// A judge that finds nothing proves nothing, unless it finds what is put into a trace on purpose.
func TestTheJudgeFindsWhatIsWrong(t *testing.T) {
	good := func() trace {
		return trace{
			accepted: []accepted{{"a", "s"}, {"b", "s"}, {"c", ""}, {"d", "s"}},
			told:     []end{{"a", eventhubs.Stored}, {"b", eventhubs.PossiblyStored}, {"c", eventhubs.NotStored}, {"d", eventhubs.Stored}},
			stored:   map[string][]string{"0": {"a", "b", "b", "d"}, "1": {}},
		}
	}
	if faults := judge(good()); len(faults) > 0 {
		t.Errorf("a good trace is judged: %v", faults)
	}
	for name, edit := range map[string]func(*trace){
		"an event lost":                  func(tr *trace) { tr.stored["0"] = tr.stored["0"][1:] },
		"an outcome lost":                func(tr *trace) { tr.told = tr.told[1:] },
		"an outcome told twice":          func(tr *trace) { tr.told = append(tr.told, tr.told[0]) },
		"a failure that is stored":       func(tr *trace) { tr.stored["1"] = []string{"c"} },
		"two swapped":                    func(tr *trace) { tr.stored["0"] = []string{"d", "b", "a"} },
		"a stream in two partitions":     func(tr *trace) { tr.stored["0"], tr.stored["1"] = []string{"a", "b"}, []string{"d"} },
		"a duplicate in another":         func(tr *trace) { tr.stored["1"] = []string{"a"} },
		"an outcome out of nowhere":      func(tr *trace) { tr.told = append(tr.told, end{"z", eventhubs.Stored}) },
		"a stored event out of nowhere":  func(tr *trace) { tr.stored["1"] = []string{"z"} },
		"enqueued again, told once":      func(tr *trace) { tr.accepted = append(tr.accepted, accepted{"c", ""}) },
		"a Flush that returns early":     func(tr *trace) { tr.early = []string{"a"} },
		"an event that lingers for ever": func(tr *trace) { tr.late = []string{"a"} },
		"a batch that was not cut":       func(tr *trace) { tr.sizes = []string{"2 events fail together"} },
		"stored, but told as not stored": func(tr *trace) { tr.told[0].storage = eventhubs.NotStored },
	} {
		tr := good()
		if edit(&tr); len(judge(tr)) == 0 {
			t.Errorf("%s is not found", name)
		}
	}
}
