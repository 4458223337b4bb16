package judge

import (
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/torture/record"
)

func TestAnHonestRunHasNothingWrong(t *testing.T) {
	v := honest().judge(t)
	if len(v.Wrong) != 0 {
		t.Fatalf("wrong: %v", v.Examples)
	}
	const all = 3 * eventsOfALife
	if v.Totals.Stored != all || v.Totals.ReportedStored != all || v.Totals.Read != all || v.Totals.Accepted != all {
		t.Errorf("%+v, want %d of each", v.Totals, all)
	}
}

// cut removes an event from the log.
func (h *history) cut(partition, index int) {
	h.log[partition] = slices.Delete(h.log[partition], index, index+1)
	h.renumber()
}

// repeat stores the first batch of a life in a partition once more, right after itself.
func (h *history) repeat(life uint32, partition int) {
	reported := h.reported(life, partition)
	first := h.at(partition, idOf(life, reported.Numbers[0]))
	end := first + len(reported.Numbers)
	h.log[partition] = slices.Insert(h.log[partition], end, slices.Clone(h.log[partition][first:end])...)
	h.renumber()
}

// moveLast moves a life's last event that is wanted to the end of a partition.
func (h *history) moveLast(partition int, life uint32, wanted func(record.ID) bool) {
	var r record.BodyReader
	for at, e := range slices.Backward(h.log[partition]) {
		if id, err := r.Read(e.Body); err == nil && id.Life == life && wanted(id) {
			h.cut(partition, at)
			h.append(partition, e)
			return
		}
	}
	panic("no such event")
}

// targeted is an event of the partition that has a key or the partition's id.
func (h *history) targeted(life uint32, partition, nth int) (number uint64) {
	for _, n := range h.reported(life, partition).Numbers {
		if idOf(life, n).Route(testPartitions) != record.Anywhere {
			if nth--; nth < 0 {
				return n
			}
		}
	}
	panic("no such event")
}

func (h *history) insert(life uint32, before record.Kind, e *record.Entry) {
	i := slices.IndexFunc(h.records[life], func(e *record.Entry) bool { return e.Kind == before })
	h.records[life] = slices.Insert(h.records[life], i, e)
}

func TestEachPlantedWrongIsFound(t *testing.T) {
	failed := Fault{ID: 1, Kind: "cut", Producer: everybody, Partition: everybody, Began: start, Acted: start, Ended: start, Duplicates: true}
	for _, test := range []struct {
		name  string
		edit  func(h *history)
		wrong string
		count uint64 // 0: at least one
	}{
		{"an event is lost", func(h *history) { h.cut(1, h.at(1, idOf(memoryLife, h.reported(memoryLife, 1).Numbers[3]))) }, WrongLost, 1},
		{"a batch is reported not stored", func(h *history) { h.reported(memoryLife, 2).Storage = record.NotStored }, WrongStored, perBatch},
		{"a refused event is stored", func(h *history) {
			h.insert(memoryLife, record.Reported, &record.Entry{Kind: record.Refused, First: 7, Count: 1, Code: "buffer-full"})
		}, WrongRefused, 1},
		{"an event comes from nowhere", func(h *history) {
			id := idOf(memoryLife, eventsOfALife+100)
			for id.Route(testPartitions) != record.Anywhere {
				id.Number++
			}
			h.append(0, eventOf(id))
		}, WrongInvented, 1},
		{"a life has no record", func(h *history) { delete(h.records, memoryLife) }, WrongInvented, 1},
		{"an outcome is reported twice", func(h *history) {
			h.insert(memoryLife, record.End, &record.Entry{Kind: record.Reported, Time: start, Storage: record.Stored, Partition: 1, Numbers: h.reported(memoryLife, 1).Numbers[:2]})
		}, WrongTwice, 2},
		{"an outcome is missing", func(h *history) {
			e := h.reported(memoryLife, 3)
			e.Numbers = e.Numbers[:len(e.Numbers)-1]
		}, WrongUnreported, 1},
		{"an outcome of nothing", func(h *history) {
			e := h.reported(memoryLife, 3)
			e.Numbers = append(slices.Clone(e.Numbers), 5000)
		}, WrongStranger, 1},
		{"a Delivery says something else", func(h *history) {
			h.insert(memoryLife, record.End, &record.Entry{Kind: record.Delivered, First: 4, Storage: record.PossiblyStored})
		}, WrongDelivery, 1},
		{"two events change places", func(h *history) {
			a, b := h.at(2, idOf(memoryLife, h.targeted(memoryLife, 2, 0))), h.at(2, idOf(memoryLife, h.targeted(memoryLife, 2, 5)))
			h.log[2][a], h.log[2][b] = h.log[2][b], h.log[2][a]
			h.renumber()
		}, WrongOrder, 0},
		{"an idempotent batch is possibly stored, and late", func(h *history) {
			reported := h.reported(idempotentLife, 0)
			first := h.at(0, idOf(idempotentLife, reported.Numbers[0]))
			last := h.at(0, idOf(idempotentLife, slices.Max(reported.Numbers)))
			batch := slices.Clone(h.log[0][first : last+1])
			h.log[0] = slices.Delete(h.log[0], first, last+1)
			h.log[0] = slices.Insert(h.log[0], first+perBatch, batch...)
			h.renumber()
			reported.Storage, reported.Code = record.PossiblyStored, "timeout"
		}, WrongOrder, 0},
		{"an idempotent producer stores twice", func(h *history) { h.repeat(idempotentLife, 1); h.faults = []Fault{failed} }, WrongDuplicate, 1},
		{"a batch is twice without a fault", func(h *history) {
			h.repeat(memoryLife, 1)
			h.insert(memoryLife, record.Reported, &record.Entry{Kind: record.Tried, Time: start, Partition: 1, Code: "timeout"})
		}, WrongUncaused, 1},
		{"a batch is twice without a failed try", func(h *history) { h.repeat(memoryLife, 1); h.faults = []Fault{failed} }, WrongUncaused, 1},
		{"a batch is twice before a fault", func(h *history) {
			h.repeat(memoryLife, 1)
			h.insert(memoryLife, record.Reported, &record.Entry{Kind: record.Tried, Time: start, Partition: 1, Code: "timeout"})
			late := failed
			late.Began = start.Add(time.Hour)
			late.Acted, late.Ended = late.Began, late.Began
			h.faults = []Fault{late}
		}, WrongUncaused, 1},
		{"a former life stores after its successor", func(h *history) {
			n := h.reported(idempotentLife, 0).Numbers[0]
			at := h.at(0, idOf(idempotentLife, n))
			e := h.log[0][at]
			h.cut(0, at)
			h.append(0, e)
		}, WrongFenced, 1},
		{"a former life stores after its successor, and the service forgot before that", func(h *history) {
			n := h.reported(idempotentLife, 0).Numbers[0]
			at := h.at(0, idOf(idempotentLife, n))
			e := h.log[0][at]
			h.cut(0, at)
			h.append(0, e)
			h.faults = []Fault{{ID: 1, Kind: "forget", Producer: everybody, Partition: everybody, Began: start.Add(-time.Second), Acted: start.Add(-time.Second), Ended: start.Add(-time.Second), Forgets: true}}
		}, WrongFenced, 1},
		{"a former life stores after its successor in two partitions", func(h *history) {
			any := func(record.ID) bool { return true }
			h.moveLast(0, idempotentLife, any)
			h.moveLast(1, idempotentLife, any)
		}, WrongFenced, 2},
		{"a former life stores after its successor, long after the service forgot", func(h *history) {
			ordered := func(id record.ID) bool { return id.Route(testPartitions) != record.Anywhere }
			h.moveLast(0, idempotentLife, ordered)
			h.append(0, eventOf(idOf(idempotentLife, 0)))
			last := len(h.log[0]) - 1
			h.log[0][last].Enqueued = start.Add(time.Hour)
			forgotten := h.log[0][last-1].Enqueued
			h.faults = []Fault{{ID: 1, Kind: "forget", Producer: everybody, Partition: everybody, Began: forgotten, Acted: forgotten, Ended: forgotten, Forgets: true}}
		}, WrongFenced, 1},
		{"a fenced life is reported stored", func(h *history) {
			e := h.reported(idempotentLife, 0)
			h.insert(idempotentLife, record.Reported, &record.Entry{Kind: record.Reported, Time: start, Storage: record.NotStored, Partition: 0, Code: codeFenced})
			_ = e
		}, WrongUnfenced, 0},
		{"a key is in two partitions", func(h *history) {
			for i := uint64(0); ; i++ {
				if id := idOf(memoryLife, i); id.Route(testPartitions).Key != "" && home(id.Route(testPartitions).Key) != 0 {
					p := home(id.Route(testPartitions).Key)
					h.cut(p, h.at(p, id))
					h.append(0, eventOf(id))
					return
				}
			}
		}, WrongPartition, 1},
		{"an event has another key", func(h *history) { h.log[0][len(h.log[0])-1].Key += "x" }, WrongKey, 1},
		{"a byte changes", func(h *history) {
			body := slices.Clone(h.log[2][len(h.log[2])-1].Body)
			body[50]++
			h.log[2][len(h.log[2])-1].Body = body
		}, WrongBytes, 1},
		{"the log begins too late", func(h *history) { h.log[2] = h.log[2][5:] }, WrongUnread, 1},
		{"memory grows", func(h *history) {
			for i := range 200 {
				h.insert(memoryLife, record.End, &record.Entry{Kind: record.Sample, Time: start.Add(time.Duration(i) * time.Second), Heap: 1e8 + 1e6*uint64(i), Goroutines: 50})
			}
		}, WrongGrowth, 1},
		{"goroutines grow", func(h *history) {
			for i := range 200 {
				h.insert(memoryLife, record.End, &record.Entry{Kind: record.Sample, Time: start.Add(time.Duration(i) * time.Second), Heap: 1e8, Goroutines: 50 + uint64(i)})
			}
		}, WrongGrowth, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := honest()
			test.edit(h)
			v := h.judge(t)
			if got := v.Wrong[test.wrong]; got == 0 || test.count > 0 && got != test.count {
				t.Errorf("%q was found %d times, want %d; found: %v", test.wrong, got, test.count, v.Wrong)
			}
		})
	}
}

func TestWhatIsAllowedIsNotWrong(t *testing.T) {
	cut := Fault{ID: 1, Kind: "cut", Producer: 0, Partition: 1, Began: start, Acted: start, Ended: start, Duplicates: true}
	for _, test := range []struct {
		name  string
		edit  func(h *history)
		check func(v *Verdict) bool
	}{
		{"a duplicate with a fault and a failed try", func(h *history) {
			h.repeat(memoryLife, 1)
			h.insert(memoryLife, record.Reported, &record.Entry{Kind: record.Tried, Time: start, Partition: 1, Code: "timeout"})
			h.faults = []Fault{cut}
		}, func(v *Verdict) bool { return v.Duplicates.ByFault["cut"] == perBatch && v.Totals.Again == perBatch }},
		{"a duplicate before the observer saw the fault", func(h *history) {
			h.repeat(memoryLife, 1)
			h.insert(memoryLife, record.Reported, &record.Entry{Kind: record.Tried, Time: start, Partition: 1, Code: "timeout"})
			late := cut
			late.Acted = start.Add(10 * time.Second)
			h.faults = []Fault{late}
		}, func(v *Verdict) bool { return v.Duplicates.ByFault["cut"] == perBatch }},
		{"one batch of an idempotent producer after the service forgot it", func(h *history) {
			h.repeat(idempotentLife, 1)
			h.faults = []Fault{{ID: 1, Kind: "forget", Producer: everybody, Partition: everybody, Began: start, Acted: start, Ended: start, Forgets: true}}
		}, func(v *Verdict) bool { return v.Duplicates.Forgotten == perBatch }},
		{"a former life after the service forgot its successor", func(h *history) {
			for p := range 2 {
				var r record.BodyReader
				at := slices.IndexFunc(h.log[p], func(e Received) bool {
					id, err := r.Read(e.Body)
					return err == nil && id.Life == successorLife
				})
				e := h.log[p][at] // the successor takes the partition before the former life's last two
				h.cut(p, at)
				h.log[p] = slices.Insert(h.log[p], at-2, e)
				h.log[p][at-2].Enqueued = h.log[p][at-3].Enqueued
				h.renumber()
			}
			h.faults = []Fault{{ID: 1, Kind: "forget", Producer: everybody, Partition: everybody, Began: start, Acted: start, Ended: start.Add(time.Hour), Forgets: true}}
		}, func(v *Verdict) bool { return v.Duplicates.Revived == 4 }},
		{"a life that takes a partition from a later life", func(h *history) {
			of := func(e Received) bool {
				var r record.BodyReader
				id, err := r.Read(e.Body)
				return err == nil && id.Life == successorLife
			}
			var first, rest []Received
			for _, e := range h.log[0] {
				switch {
				case of(e) || strings.HasPrefix(string(e.Body), HomePrefix):
					first = append(first, e)
				default:
					rest = append(rest, e)
				}
			}
			h.log[0] = append(first, rest...)
			h.renumber()
		}, func(v *Verdict) bool { return v.Totals.Stored == 3*eventsOfALife }},
		{"a late batch that was reported possibly stored", func(h *history) {
			reported := h.reported(memoryLife, 0)
			first := h.at(0, idOf(memoryLife, reported.Numbers[0]))
			batch := slices.Clone(h.log[0][first : first+perBatch])
			h.log[0] = slices.Insert(slices.Delete(h.log[0], first, first+perBatch), first+perBatch, batch...)
			h.renumber()
			reported.Storage, reported.Code = record.PossiblyStored, "timeout"
		}, func(v *Verdict) bool {
			return v.Totals.Late > 0 && v.Totals.PossiblyStored == perBatch && v.Codes["timeout"] == perBatch
		}},
		{"events without an outcome of a life that was killed", func(h *history) {
			reported := slices.Index(h.records[memoryLife], h.reported(memoryLife, 0))
			h.records[memoryLife] = h.records[memoryLife][:reported]
		}, func(v *Verdict) bool {
			return v.Totals.Unreported > 0 && v.Totals.UnreportedStored == v.Totals.Unreported
		}},
		{"steady memory", func(h *history) {
			for i := range 200 {
				h.insert(memoryLife, record.End, &record.Entry{Kind: record.Sample, Time: start.Add(time.Duration(i) * time.Second), Heap: 1e8 + 3e7*uint64(i%2), Goroutines: 50 + uint64(i%30)})
			}
		}, func(v *Verdict) bool { return len(v.Growths) == 1 }},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := honest()
			test.edit(h)
			if v := h.judge(t); len(v.Wrong) != 0 || !test.check(v) {
				t.Errorf("wrong: %v; %+v, %+v, codes %v", v.Examples, v.Totals, v.Duplicates, v.Codes)
			}
		})
	}
}

func TestRecoveryCountsFromTheEndOfTheFault(t *testing.T) {
	h := honest()
	lives := h.reported(memoryLife, 1)
	lives.Time = start.Add(7 * time.Second)
	h.faults = []Fault{
		{ID: 1, Kind: "hold", Producer: 0, Partition: 1, Acted: start.Add(5 * time.Second), Ended: start.Add(6 * time.Second), Fails: true},
		{ID: 2, Kind: "last", Producer: 0, Partition: 1, Acted: start.Add(2 * time.Hour), Ended: start.Add(2 * time.Hour)},
	}
	h.insert(memoryLife, record.Reported, &record.Entry{Kind: record.Tried, Time: start.Add(5500 * time.Millisecond), Partition: 1, Code: "timeout"})
	v := h.judge(t)
	if got := v.Recoveries["hold"]; got.Worst != time.Second || got.Median != time.Second || got.Measured != 1 || got.Failed != 1 {
		t.Errorf("%+v, want one recovery of 1 s and one failed try", got)
	}
	if got := v.Recoveries["last"]; got.Acted != 1 || got.Measured != 0 || got.Unmeasured != 1 {
		t.Errorf("%+v, want one that nothing was stored after", got)
	}
}

func TestTheJudgeSharesNoCodeWithTheProduct(t *testing.T) {
	const product, ours = "github.com/go-eventhubs/eventhubs", "github.com/go-eventhubs/eventhubs/torture/"
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := map[string]bool{}
	for p := range strings.FieldsSeq(string(out)) {
		if strings.HasPrefix(p, product) {
			deps[p] = true
		}
	}
	want := map[string]bool{ours + "judge": true, ours + "record": true}
	if !maps.Equal(deps, want) {
		t.Errorf("the judge links %v, want %v", slices.Sorted(maps.Keys(deps)), slices.Sorted(maps.Keys(want)))
	}
}
