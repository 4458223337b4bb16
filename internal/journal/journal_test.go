package journal_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/go-eventhubs/eventhubs/internal/journal"
)

const small = 8 << 10

// open opens a journal with small segments, and returns the records that it replays.
func open(t *testing.T, directory string, o journal.Options) (*journal.Journal, []string) {
	t.Helper()
	if o.SegmentBytes == 0 {
		o.SegmentBytes = small
	}
	var records []string
	next := journal.Position(0)
	j, err := journal.Open(directory, o, nil, func(p journal.Position, record []byte) error {
		if next == 0 {
			next = p
		}
		if p != next {
			return fmt.Errorf("position %d was replayed, want %d", p, next)
		}
		next++
		records = append(records, string(record))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return j, records
}

// add adds a record and awaits it.
func add(t *testing.T, j *journal.Journal, record string) journal.Position {
	t.Helper()
	p, err := j.Add(false, []byte(record), nil, nil, nil)
	if err == nil {
		err = j.Await(p)
	}
	if err != nil {
		t.Fatalf("add %.20q: %v", record, err)
	}
	return p
}

func readAll(t *testing.T, j *journal.Journal, from journal.Position) (first journal.Position, records []string) {
	t.Helper()
	r := j.Reader(from)
	defer r.Close()
	for {
		p, record, ok, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return first, records
		}
		if first == 0 {
			first = p
		}
		records = append(records, string(record))
	}
}

func TestRecordsAreThereAfterOpeningAgain(t *testing.T) {
	for _, policy := range []journal.Policy{journal.SyncEach, journal.SyncInterval, journal.SyncOS} {
		directory := t.TempDir()
		o := journal.Options{Policy: policy}
		j, _ := open(t, directory, o)
		var want []string
		for i := range 200 {
			want = append(want, fmt.Sprintf("record %d %0*d", i, i, i))
			if got := add(t, j, want[i]); got != journal.Position(i+1) {
				t.Fatalf("position %d, want %d", got, i+1)
			}
		}
		if _, got := readAll(t, j, 0); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("read %d records, want %d", len(got), len(want))
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			var got []string
			j, got = open(t, directory, o)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("replayed %d records, want %d", len(got), len(want))
			}
			want = append(want, fmt.Sprint("more ", len(want)))
			if got, want := add(t, j, want[len(want)-1]), journal.Position(len(want)); got != want {
				t.Fatalf("position %d, want %d", got, want)
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := j.Add(false, nil, nil, nil, nil); !errors.Is(err, journal.ErrClosed) {
			t.Errorf("Add after Close: %v, want ErrClosed", err)
		}
	}
}
