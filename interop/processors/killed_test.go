package main

import (
	"strconv"
	"strings"
	"testing"
)

// newTrial returns a trial after its end. Process a has seen the events of each partition before
// its second checkpoint. Process b has seen the events after it, and overlap events before it.
func newTrial(t *testing.T, overlap int64) *trial {
	t.Helper()
	trial := &trial{tallies: map[string]*tally{"a": newTally(), "b": newTally()}, seen: map[place]bool{}}
	for id := range partitions {
		partition := strconv.Itoa(id)
		for sequence := range int64(3 * checkpointEvery) {
			if sequence < 2*checkpointEvery {
				see(t, trial, "a", partition, sequence)
			}
			if sequence >= 2*checkpointEvery-overlap {
				see(t, trial, "b", partition, sequence)
			}
		}
	}
	return trial
}

func see(t *testing.T, trial *trial, process, partition string, sequence int64) {
	t.Helper()
	hear(t, trial, process, report{Partition: partition, Sequence: sequence, Body: body(partition, sequence)})
}

func hear(t *testing.T, trial *trial, process string, r report) {
	t.Helper()
	if err := trial.take(heard{process, &r, nil}); err != nil {
		t.Fatal(err)
	}
}

func TestATakeoverAtACheckpointIsGood(t *testing.T) {
	trial := newTrial(t, 10)
	if err := trial.judge(); err != nil {
		t.Error(err)
	}
	see(t, trial, "b", "0", 2*checkpointEvery-1) // the third time
	if len(trial.seen) != 3*checkpointEvery*partitions || trial.twice != 10*partitions {
		t.Errorf("%d events seen, %d of them twice, want %d and %d", len(trial.seen), trial.twice, 3*checkpointEvery*partitions, 10*partitions)
	}
}

func TestATakeoverFromTheStartIsFound(t *testing.T) {
	err := newTrial(t, 2*checkpointEvery).judge()
	if err == nil || !strings.Contains(err.Error(), "at event 0, want it at a checkpoint") {
		t.Errorf("got %v, want an error about the first event", err)
	}
}

func TestAnEventOfAnotherContentIsFound(t *testing.T) {
	trial := newTrial(t, 0)
	err := trial.take(heard{"b", &report{Partition: "0", Sequence: 1, Body: "another"}, nil})
	if err == nil || !strings.Contains(err.Error(), `b has event 1 of partition 0 as "another"`) {
		t.Errorf("got %v, want an error about the event", err)
	}
}

func TestAProcessThatEndsByItselfIsFound(t *testing.T) {
	trial := newTrial(t, 0)
	for _, process := range []string{"a", "b"} {
		if err := trial.take(heard{process, nil, nil}); err == nil || !strings.Contains(err.Error(), process+" has ended") {
			t.Errorf("got %v, want an error that %s has ended", err, process)
		}
	}
}

func TestAKilledProcessOwnsNothing(t *testing.T) {
	trial := newTrial(t, 0)
	trial.outcome.shared = 1 // a is killed after that
	for id := range partitions {
		hear(t, trial, "a", report{Owns: strconv.Itoa(id)})
	}
	if err := trial.take(heard{"a", nil, nil}); err != nil {
		t.Errorf("the end of the killed process: %v", err)
	}
	if !trial.settled("a", 0, 0) {
		t.Errorf("a %v after its end, want no partition", trial.tallies["a"])
	}
	if err := trial.take(heard{"b", nil, nil}); err == nil {
		t.Error("the end of the other process is no error")
	}
}

func TestAProcessIsSettledWithEventsOfEachOwnedPartition(t *testing.T) {
	trial := newTrial(t, 0)
	hear(t, trial, "b", report{Owns: "0"})
	hear(t, trial, "b", report{Owns: "1"})
	for _, test := range []struct {
		owned, events int
		want          bool
	}{{2, checkpointEvery, true}, {2, checkpointEvery + 1, false}, {1, 0, false}, {3, 0, false}} {
		if got := trial.settled("b", test.owned, test.events); got != test.want {
			t.Errorf("b %v: settled with %d partitions and %d events of each is %t", trial.tallies["b"], test.owned, test.events, got)
		}
	}
	hear(t, trial, "b", report{Lost: "1"})
	if !trial.settled("b", 1, checkpointEvery) {
		t.Errorf("b %v after the loss of a partition, want only 0", trial.tallies["b"])
	}
}
