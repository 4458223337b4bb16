package judge

import (
	"slices"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/torture/record"
)

// kept makes a run of a producer with a journal. Its first life is killed when it has reported half
// of its batches; the next one reports the others and its own.
func kept(life uint32) *history {
	h := empty()
	h.keep(life)
	return h
}

func (h *history) keep(life uint32) {
	h.live(life)
	h.live(life + 1)
	former := h.records[life]
	former = former[:len(former)-1] // no End
	cut := len(former) / 2
	for i, e := range former[cut:] {
		e.Life, e.Recovered = life, true
		h.records[life+1] = slices.Insert(h.records[life+1], 1+i, e)
	}
	h.records[life] = former[:cut]
}

const (
	resumedAt = 310 // in the source
	beganTo   = 320
)

// source makes a run of a producer that reads a source. Its first life is killed in a call of
// Enqueue. The journal has a part of those events.
func source() *history {
	h := empty()
	h.live(sourceLife)
	all := h.records[sourceLife]
	begin, end, reports := all[0], all[len(all)-1], all[3:len(all)-1]
	first := []*record.Entry{begin, {Kind: record.Intent, Count: beganTo}, {Kind: record.Accepted, Count: 300}}
	next := []*record.Entry{begin, {Kind: record.Resumed, First: resumedAt}, {Kind: record.Intent, First: resumedAt, Count: eventsOfALife - resumedAt}, {Kind: record.Accepted, First: resumedAt, Count: eventsOfALife - resumedAt}}
	for _, e := range reports {
		e.Recovered = e.Numbers[0] < resumedAt
		if slices.Max(e.Numbers) < 200 {
			e.Recovered = false
			first = append(first, e)
		} else {
			next = append(next, e)
		}
	}
	h.records[sourceLife], h.records[sourceLife+1] = first, append(next, end)
	return h
}

func (h *history) last(life uint32) *record.Entry { return h.records[life][len(h.records[life])-1] }

// recovered is the first entry of a life for events of the former one.
func (h *history) recovered(life uint32) *record.Entry {
	for _, e := range h.records[life] {
		if e.Kind == record.Reported && e.Recovered {
			return e
		}
	}
	panic("none")
}

// drop has no life report the outcome of the first event of an entry.
func drop(e *record.Entry) uint64 {
	n := e.Numbers[0]
	e.Numbers = slices.Clone(e.Numbers[1:])
	return n
}

func TestAnHonestRunWithAJournalHasNothingWrong(t *testing.T) {
	for name, h := range map[string]*history{"idempotent": kept(keptLife), "at least once": kept(atLeast), "source": source()} {
		v := h.judge(t)
		if len(v.Wrong) != 0 {
			t.Errorf("%s: wrong: %v", name, v.Examples)
		}
		all := uint64(2 * eventsOfALife)
		if name == "source" {
			all = eventsOfALife
		}
		if n := v.Totals; n.Stored != all || n.ReportedStored != all || n.Kept != all || n.Unreported != 0 {
			t.Errorf("%s: %+v, want %d", name, n, all)
		}
		if want := (Kills{Lives: 1, Between: 1}); name != "source" && v.Kills != want {
			t.Errorf("%s: kills %+v, want %+v", name, v.Kills, want)
		}
		if want := (Kills{Lives: 1, Between: 1, Within: 1}); name == "source" && v.Kills != want {
			t.Errorf("%s: kills %+v, want %+v", name, v.Kills, want)
		}
	}
}

// A kill after the last acknowledgement has hit nothing.
func TestAKillThatHitNothingDoesNotCount(t *testing.T) {
	h := kept(keptLife)
	end := h.records[keptLife+1]
	moved := slices.DeleteFunc(slices.Clone(end), func(e *record.Entry) bool { return e.Life == 0 })
	h.records[keptLife+1] = slices.DeleteFunc(end, func(e *record.Entry) bool { return e.Life != 0 })
	for _, e := range moved {
		e.Life, e.Recovered = 0, false
		h.records[keptLife] = append(h.records[keptLife], e)
	}
	if v := h.judge(t); len(v.Wrong) > 0 || v.Kills != (Kills{Lives: 1}) {
		t.Errorf("kills %+v, wrong %v, want one that hit nothing", v.Kills, v.Examples)
	}
}

// A life of a source that is killed after its last acknowledgement, or before it enqueues, has hit
// nothing. One that has heard nothing has.
func TestKillsOfASource(t *testing.T) {
	h := source()
	begin := h.records[sourceLife][0]
	h.records[sourceLife] = slices.DeleteFunc(h.records[sourceLife], func(e *record.Entry) bool { return e.Kind == record.Reported && e.Numbers[0] < resumedAt })
	moved := slices.DeleteFunc(source().records[sourceLife], func(e *record.Entry) bool { return e.Kind != record.Reported })
	for _, e := range moved {
		e.Recovered = true
	}
	next := h.records[sourceLife+1]
	h.records[sourceLife+1] = append([]*record.Entry{begin, {Kind: record.Resumed, First: resumedAt}}, moved...) // enqueues nothing
	h.records[sourceLife+2] = next[:len(next)-1]                                                                 // no End
	h.records[sourceLife+3] = []*record.Entry{begin, {Kind: record.Resumed, First: eventsOfALife}, {Kind: record.End, Time: start}}
	if v, want := h.judge(t), (Kills{Lives: 3, Between: 1, Within: 1}); len(v.Wrong) > 0 || v.Kills != want {
		t.Errorf("kills %+v, wrong %v, want %+v", v.Kills, v.Examples, want)
	}
}

// What the last life leaves in the journal is one finding, and not lost too.
func TestWhatAJournalKeepsIsNotLost(t *testing.T) {
	h := kept(keptLife)
	n := drop(h.lastReported(keptLife + 1))
	for p := range h.log {
		if i := h.at(p, idOf(keptLife+1, n)); i >= 0 {
			h.cut(p, i)
		}
	}
	h.last(keptLife + 1).Count = 1
	if v := h.judge(t); len(v.Wrong) != 1 || v.Wrong[WrongKept] != 1 {
		t.Errorf("wrong: %v, want only that an event is left", v.Examples)
	}
}

func TestEachPlantedWrongOfAJournalIsFound(t *testing.T) {
	forgot := Fault{ID: 1, Kind: "forget", Producer: everybody, Partition: everybody, Began: start, Acted: start, Ended: start, Duplicates: true, Forgets: true}
	killed := Fault{ID: 2, Kind: "kill", Producer: everybody, Partition: everybody, Began: start, Acted: start, Ended: start, Duplicates: true}
	remove := func(h *history, id record.ID) {
		for p := range h.log {
			if i := h.at(p, id); i >= 0 {
				h.cut(p, i)
				return
			}
		}
		panic("not there")
	}
	for _, test := range []struct {
		name  string
		make  func() *history
		edit  func(h *history)
		wrong string
		count uint64 // 0: at least one
	}{
		{"an accepted event is lost before its report", keptBy(keptLife), func(h *history) {
			remove(h, idOf(keptLife, drop(h.recovered(keptLife+1))))
		}, WrongDropped, 1},
		{"an accepted event is lost without idempotence", keptBy(atLeast), func(h *history) {
			remove(h, idOf(atLeast, drop(h.recovered(atLeast+1))))
		}, WrongDropped, 1},
		{"an event of a former life is reported stored and is not", keptBy(keptLife), func(h *history) {
			remove(h, idOf(keptLife, h.recovered(keptLife + 1).Numbers[2]))
		}, WrongLost, 1},
		{"an event of the source is lost", source, func(h *history) {
			remove(h, idOf(sourceLife, drop(h.lastReported(sourceLife+1))))
		}, WrongDropped, 1},
		{"an event that only the checkpoint vouches for is lost", source, func(h *history) {
			for _, e := range h.records[sourceLife+1] {
				e.Numbers = slices.DeleteFunc(slices.Clone(e.Numbers), func(n uint64) bool { return n == resumedAt-1 })
			}
			h.records[sourceLife+1] = slices.DeleteFunc(h.records[sourceLife+1], func(e *record.Entry) bool { return e.Kind == record.Accepted })
			remove(h, idOf(sourceLife, resumedAt-1))
		}, WrongDropped, 1},
		{"a refused event is there", keptBy(keptLife), func(h *history) {
			n := drop(h.lastReported(keptLife + 1))
			h.insert(keptLife+1, record.End, &record.Entry{Kind: record.Refused, First: n, Count: 1, Code: "closed"})
		}, WrongRefused, 1},
		{"an event that was never enqueued is there", keptBy(keptLife), func(h *history) {
			h.append(1, eventOf(idOf(keptLife, eventsOfALife+5)))
		}, WrongInvented, 1},
		{"an event that is reported not stored is there", keptBy(keptLife), func(h *history) {
			e := h.recovered(keptLife + 1)
			e.Storage, e.Code = record.NotStored, "rejected"
		}, WrongStored, perBatch},
		{"an event whose Enqueue had not returned is there, and its outcome in no life", keptBy(keptLife), func(h *history) {
			n := drop(h.recovered(keptLife + 1))
			for _, e := range h.records[keptLife] {
				if e.Kind == record.Accepted {
					e.Count = n
				}
			}
		}, WrongUnreported, 1},
		{"an outcome is in no life", keptBy(keptLife), func(h *history) { drop(h.recovered(keptLife + 1)) }, WrongUnreported, 1},
		{"an outcome of the last life is missing", keptBy(keptLife), func(h *history) { drop(h.lastReported(keptLife + 1)) }, WrongUnreported, 1},
		{"a batch of a former life is not marked", keptBy(keptLife), func(h *history) { h.recovered(keptLife + 1).Recovered = false }, WrongUnmarked, perBatch},
		{"a batch of the source's former life is not marked", source, func(h *history) {
			for _, e := range h.records[sourceLife+1] {
				if e.Kind == record.Reported && e.Numbers[0] < resumedAt {
					e.Recovered = false
				}
			}
		}, WrongUnmarked, 0},
		{"an outcome is reported again without the mark", keptBy(keptLife), func(h *history) {
			h.insert(keptLife+1, record.End, &record.Entry{Kind: record.Reported, Time: start, Storage: record.Stored, Life: keptLife, Numbers: h.reported(keptLife, 1).Numbers[:2]})
		}, WrongTwice, 2},
		{"an outcome is reported twice by one life", keptBy(keptLife), func(h *history) {
			again := *h.recovered(keptLife + 1)
			again.Numbers = slices.Clone(again.Numbers[:2])
			h.insert(keptLife+1, record.End, &again)
		}, WrongTwice, 2},
		{"an outcome changes", keptBy(keptLife), func(h *history) {
			h.insert(keptLife+1, record.End, &record.Entry{Kind: record.Reported, Time: start, Storage: record.NotStored, Code: "rejected", Recovered: true, Life: keptLife, Numbers: h.reported(keptLife, 1).Numbers[:2]})
		}, WrongChanged, 2},
		{"a refused event is sent again after a life that closed", keptBy(keptLife), func(h *history) {
			h.records[keptLife] = append(h.records[keptLife],
				&record.Entry{Kind: record.Reported, Time: start, Storage: record.NotStored, Code: "rejected", Numbers: h.recovered(keptLife + 1).Numbers[:2]},
				&record.Entry{Kind: record.End, Time: start, Count: 5})
		}, WrongChanged, 2},
		{"an event fails for having waited", keptBy(keptLife), func(h *history) {
			e := h.recovered(keptLife + 1)
			e.Storage, e.Code = record.NotStored, "timeout"
			for _, n := range e.Numbers {
				remove(h, idOf(keptLife, n))
			}
		}, WrongFailed, 1},
		{"an outcome of a life that never was", keptBy(keptLife), func(h *history) { h.recovered(keptLife + 1).Life = 77 }, WrongStranger, 1},
		{"an idempotent event is twice after a kill", keptBy(keptLife), func(h *history) { h.repeat(keptLife, 1); h.faults = []Fault{killed} }, WrongDuplicate, 1},
		{"a number of the source is twice", source, func(h *history) { h.repeat(sourceLife, 1); h.faults = []Fault{killed} }, WrongDuplicate, 1},
		{"a forgotten batch is there three times", keptBy(keptLife), func(h *history) {
			h.repeat(keptLife, 1)
			h.append(1, Received{Body: []byte(HomePrefix + record.Key(1)), Key: record.Key(1)})
			h.repeat(keptLife, 1)
			h.faults = []Fault{forgot}
		}, WrongDuplicate, 1},
		{"a batch is twice without a fault", keptBy(atLeast), func(h *history) { h.repeat(atLeast, 1) }, WrongUncaused, 1},
		{"a batch is twice without a kill or a failed try", atLeastAlive, func(h *history) { h.repeat(atLeast, 1); h.faults = []Fault{killed} }, WrongUncaused, 1},
		{"the former life's last event follows the next one's", keptBy(keptLife), func(h *history) {
			h.moveLast(2, keptLife, func(id record.ID) bool { return id.Route(testPartitions) != record.Anywhere })
		}, WrongOrder, 1},
		{"a batch is twice more often than tries have failed", atLeastAlive, func(h *history) {
			h.repeat(atLeast, 1)
			h.repeat(atLeast, 2)
			h.faults = []Fault{killed}
			h.insert(atLeast, record.End, &record.Entry{Kind: record.Tried, Time: start, Partition: 1, Code: "connection-lost"})
		}, WrongUncaused, 1},
		{"two events of a former life change places", keptBy(atLeast), func(h *history) {
			a, b := h.at(2, idOf(atLeast, h.targeted(atLeast, 2, 0))), h.at(2, idOf(atLeast, h.targeted(atLeast, 2, 5)))
			h.log[2][a], h.log[2][b] = h.log[2][b], h.log[2][a]
			h.renumber()
		}, WrongOrder, 0},
		{"the last life leaves events", keptBy(keptLife), func(h *history) { h.last(keptLife + 1).Count = 3 }, WrongKept, 1},
		{"the last life does not close", keptBy(keptLife), func(h *history) {
			h.records[keptLife+1] = h.records[keptLife+1][:len(h.records[keptLife+1])-1]
		}, WrongKept, 1},
		{"the checkpoint is before an accepted event", source, func(h *history) {
			h.insert(sourceLife+1, record.Intent, &record.Entry{Kind: record.Resumed, First: 299})
		}, WrongCheckpoint, 1},
		{"the checkpoint is of no event", source, func(h *history) {
			h.records[sourceLife+1][1].First = beganTo + 1
		}, WrongCheckpoint, 1},
		{"one of two producers does not close", func() *history {
			h := kept(keptLife)
			h.keep(atLeast)
			return h
		}, func(h *history) {
			h.records[keptLife+1] = h.records[keptLife+1][:len(h.records[keptLife+1])-1]
		}, WrongKept, 1},
		{"the last life of a source does not close, and a former one did", source, func(h *history) {
			h.records[sourceLife] = append(h.records[sourceLife], &record.Entry{Kind: record.End, Time: start})
			h.records[sourceLife+1] = h.records[sourceLife+1][:len(h.records[sourceLife+1])-1]
		}, WrongKept, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := test.make()
			test.edit(h)
			v := h.judge(t)
			if got := v.Wrong[test.wrong]; got == 0 || test.count > 0 && got != test.count {
				t.Errorf("%q was found %d times, want %d; found: %v", test.wrong, got, test.count, v.Examples)
			}
		})
	}
}

// atLeastAlive is a run of one life, which was not killed.
func atLeastAlive() *history {
	h := empty()
	h.live(atLeast)
	return h
}

func keptBy(life uint32) func() *history { return func() *history { return kept(life) } }

// lastReported is the last outcome that a life reported.
func (h *history) lastReported(life uint32) *record.Entry {
	for _, e := range slices.Backward(h.records[life]) {
		if e.Kind == record.Reported {
			return e
		}
	}
	panic("none")
}

func TestWhatAJournalAllowsIsNotWrong(t *testing.T) {
	killed := Fault{ID: 1, Kind: "kill", Producer: everybody, Partition: everybody, Began: start, Acted: start, Ended: start, Duplicates: true}
	for _, test := range []struct {
		name  string
		make  func() *history
		edit  func(h *history)
		check func(v *Verdict) bool
	}{
		{"an outcome that is reported again, with the mark", keptBy(keptLife), func(h *history) {
			h.insert(keptLife+1, record.Reported, &record.Entry{Kind: record.Reported, Time: start, Storage: record.Stored, Partition: 1, Recovered: true, Life: keptLife, Numbers: h.reported(keptLife, 1).Numbers})
		}, func(v *Verdict) bool { return v.Totals.ReportedStored == 2*eventsOfALife }},
		{"a batch that is twice after a kill, without idempotence", keptBy(atLeast), func(h *history) { h.repeat(atLeast, 1); h.faults = []Fault{killed} },
			func(v *Verdict) bool { return v.Duplicates.ByFault["kill"] == perBatch }},
		{"a batch that is twice after a failed try, without idempotence", atLeastAlive, func(h *history) {
			h.repeat(atLeast, 1)
			h.repeat(atLeast, 2)
			h.faults = []Fault{killed}
			for _, partition := range []int{1, everybody} {
				h.insert(atLeast, record.End, &record.Entry{Kind: record.Tried, Time: start, Partition: partition, Code: "connection-lost"})
			}
		}, func(v *Verdict) bool { return v.Duplicates.ByFault["kill"] == 2*perBatch }},
		{"a batch that is twice after a life that closed with events left", keptBy(atLeast), func(h *history) {
			h.records[atLeast] = append(h.records[atLeast], &record.Entry{Kind: record.End, Time: start, Count: 5})
			h.repeat(atLeast, 1)
			h.faults = []Fault{killed}
		}, func(v *Verdict) bool { return v.Duplicates.ByFault["kill"] == perBatch && v.Kills == Kills{} }},
		{"a former life's event without a key or a partition that follows the next one's", keptBy(keptLife), func(h *history) {
			h.moveLast(2, keptLife, func(id record.ID) bool { return id.Route(testPartitions) == record.Anywhere })
		}, func(v *Verdict) bool { return v.Totals.Stored == 2*eventsOfALife }},
		{"a forgotten batch that the next life cuts in two", keptBy(keptLife), func(h *history) {
			reported := h.reported(keptLife, 1)
			first := h.at(1, idOf(keptLife, reported.Numbers[0]))
			end := first + len(reported.Numbers)
			again := slices.Clone(h.log[1][first:end])
			for i := range again {
				again[i].Enqueued = start.Add(time.Hour + time.Duration(i/10)*time.Second)
			}
			h.log[1] = slices.Insert(h.log[1], end, again...)
			h.renumber()
			h.faults = []Fault{{ID: 1, Kind: "forget", Producer: everybody, Partition: everybody, Began: start.Add(time.Hour), Acted: start.Add(time.Hour), Ended: start, Forgets: true}}
		}, func(v *Verdict) bool { return v.Duplicates.Forgotten == perBatch && v.Duplicates.Runs == 3 }},
		{"an event whose Enqueue had not returned, and is not there", keptBy(keptLife), func(h *history) {
			i := slices.IndexFunc(h.records[keptLife], func(e *record.Entry) bool { return e.Kind == record.Intent })
			h.records[keptLife][i].Count += 20
		}, func(v *Verdict) bool { return v.Totals.Unreported == 20 && v.Totals.UnreportedStored == 0 }},
		{"an event whose Enqueue had not returned, and is there", keptBy(keptLife), func(h *history) {
			for _, e := range h.records[keptLife] {
				if e.Kind == record.Accepted {
					e.Count -= 20
				}
			}
		}, func(v *Verdict) bool {
			return v.Totals.Stored == 2*eventsOfALife && v.Totals.Kept == 2*eventsOfALife-20
		}},
		{"an event that the service refuses", keptBy(keptLife), func(h *history) {
			e := h.recovered(keptLife + 1)
			e.Storage, e.Code = record.NotStored, "rejected"
			for _, n := range e.Numbers {
				for p := range h.log {
					if i := h.at(p, idOf(keptLife, n)); i >= 0 {
						h.cut(p, i)
					}
				}
			}
		}, func(v *Verdict) bool {
			return v.Totals.ReportedNotStored == perBatch && v.Codes["rejected"] == perBatch
		}},
		{"a refused event that the next life sends again after a kill", keptBy(keptLife), func(h *history) {
			h.records[keptLife] = append(h.records[keptLife],
				&record.Entry{Kind: record.Reported, Time: start, Storage: record.NotStored, Code: "rejected", Numbers: h.recovered(keptLife + 1).Numbers[:2]})
		}, func(v *Verdict) bool { return v.Totals.Changed == 2 && v.Totals.ReportedStored == 2*eventsOfALife }},
		{"a source whose Enqueue was refused, and that goes on there", source, func(h *history) {
			h.records[sourceLife] = append(h.records[sourceLife],
				&record.Entry{Kind: record.Accepted, First: 300, Count: 10},
				&record.Entry{Kind: record.Refused, First: 310, Count: 10, Code: "closed"},
				&record.Entry{Kind: record.End, Time: start, Count: 5})
		}, func(v *Verdict) bool { return v.Totals.Stored == eventsOfALife && v.Kills == Kills{} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := test.make()
			test.edit(h)
			if v := h.judge(t); len(v.Wrong) != 0 || !test.check(v) {
				t.Errorf("wrong: %v; %+v, %+v, %+v, codes %v", v.Examples, v.Totals, v.Duplicates, v.Kills, v.Codes)
			}
		})
	}
}
