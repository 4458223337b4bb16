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
	err := trial.take(heard{process, &report{Partition: partition, Sequence: sequence, Body: body(partition, sequence)}, nil})
	if err != nil {
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
