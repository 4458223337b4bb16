package journal_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/journal"
	"github.com/go-eventhubs/eventhubs/internal/journal/forgetful"
)

// In virtual time only the fsyncs take time.
func TestCallersShareAnFsync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const fsync, callers, each = 10 * time.Millisecond, 64, 20
		disk := forgetful.New()
		j, _ := open(t, there, journal.Options{Files: disk, SegmentBytes: 1 << 20})
		disk.SyncTime = fsync
		syncs := 0
		disk.Watch = func(op forgetful.Op, _ string) {
			if op == forgetful.Sync {
				syncs++
			}
		}
		begin := time.Now()
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				for range each {
					before := time.Now()
					add(t, j, "a record")
					if took := time.Since(before); took > 2*fsync {
						t.Errorf("a record took %v, want at most two fsyncs", took)
					}
				}
			})
		}
		all.Wait()
		if took := time.Since(begin); syncs > 2*each+2 || took > (2*each+2)*fsync {
			t.Errorf("%d records took %d fsyncs and %v, want at most %d", callers*each, syncs, took, 2*each+2)
		}
		if s := j.Stats(); s.SlowestSync != fsync || !s.LastSync.Equal(time.Now()) {
			t.Errorf("stats: %+v", s)
		}
	})
}

func TestAnFsyncFollowsWithinTheInterval(t *testing.T) {
	for wait, want := range map[time.Duration]int{time.Second - 1: 0, time.Second + 1: 2} {
		synctest.Test(t, func(t *testing.T) {
			disk := forgetful.New()
			o := journal.Options{Files: disk, SegmentBytes: small, Policy: journal.SyncInterval, Interval: time.Second}
			j, _ := open(t, there, o)
			begin := time.Now()
			add(t, j, "one")
			add(t, j, "two")
			if took := time.Since(begin); took != 0 {
				t.Errorf("adding took %v", took)
			}
			time.Sleep(wait)
			synctest.Wait()
			disk.Restart(forgetful.NoPages, forgetful.NoNames, rand.New(rand.NewPCG(1, 1)))
			if _, got := open(t, there, o); len(got) != want {
				t.Errorf("%d records after a power cut %v later, want %d", len(got), wait, want)
			}
			time.Sleep(time.Second) // the timer of the process that is gone
		})
	}
}

func TestAddWritesAFullBlockItself(t *testing.T) {
	disk := forgetful.New()
	j, _ := open(t, there, journal.Options{Files: disk, SegmentBytes: 8 << 20})
	record := strings.Repeat("x", 1<<20)
	for range 30 {
		p, err := j.Add(false, []byte(record), nil, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if end, _ := j.Committed(); p-end > 4 {
			t.Fatalf("%d records of 1 MiB were added and not written, want at most 4", p-end+1)
		}
	}
	if err := j.Await(30); err != nil {
		t.Fatal(err)
	}
	if _, got := readAll(t, j, 1); len(got) != 30 || got[29] != record {
		t.Errorf("%d records", len(got))
	}
}

func TestAwaitOfARecordThatIsNotThere(t *testing.T) {
	j, _ := open(t, there, journal.Options{Files: forgetful.New(), SegmentBytes: small})
	if err := j.Await(1); err == nil {
		t.Error("Await of position 1 of an empty journal returned")
	}
}

// Writers wait for room, readers read every byte and release: three segments suffice for all.
func TestWritersAndReadersGoOnWithinTheBound(t *testing.T) {
	for _, policy := range []journal.Policy{journal.SyncEach, journal.SyncInterval, journal.SyncOS} {
		synctest.Test(t, func(t *testing.T) {
			const writers, each = 16, 150
			disk := forgetful.New()
			j, _ := open(t, there, journal.Options{Files: disk, SegmentBytes: small, MaxBytes: 3 * small, Policy: policy})
			disk.SyncTime = time.Millisecond
			var texts sync.Map // by position
			var fulls atomic.Int64
			var all sync.WaitGroup
			for w := range writers {
				all.Go(func() {
					for i := range each {
						text := fmt.Sprintf("%d.%d %0*d", w, i, (w*i)%900, 0)
						for {
							p, err := j.Add(i%10 == 0, []byte(text), nil, nil, func(p journal.Position) { texts.Store(p, text) })
							if errors.Is(err, journal.ErrFull) {
								fulls.Add(1)
								<-j.Room()
								continue
							}
							if err == nil && i%3 == 0 {
								err = j.Await(p)
							}
							if err != nil {
								t.Error(err)
							}
							break
						}
					}
				})
			}
			for k := range 2 {
				all.Go(func() {
					r := j.Reader(1)
					defer r.Close()
					for next := journal.Position(1); next <= writers*each; {
						end, more := j.Committed()
						p, record, ok, err := r.Next()
						if err != nil || ok && p != next {
							if k == 1 && errors.Is(err, journal.ErrReleased) {
								return // the other reader was before it
							}
							t.Errorf("position %d, %v, want %d", p, err, next)
							return
						}
						if text, _ := texts.Load(p); ok && text != string(record) {
							t.Errorf("position %d has %.20q, want %.20q", p, record, text)
						}
						if ok {
							next++
							if k == 0 && next%5 == 0 {
								j.Release(next)
							}
							continue
						}
						if end < next { // no write is under way: write the rest
							t.Errorf("the end is %d, position %d was not read", end, next)
						}
						select {
						case <-more:
						case <-time.After(10 * time.Millisecond):
							if s := j.Stats(); s.End <= writers*each {
								_ = j.Await(s.End) // an error: there is none yet
							}
						}
					}
				})
			}
			all.Wait()
			if err := j.Close(); err != nil {
				t.Error(err)
			}
			if used := disk.Used(); used > 3*small+1000 {
				t.Errorf("%d bytes are used, want at most three segments", used)
			}
			if fulls.Load() == 0 {
				t.Error("The bound was never met.")
			}
		})
	}
}

func TestCloseKeepsWhatWasAddedAndEndsAllWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := forgetful.New()
		o := journal.Options{Files: disk, SegmentBytes: small}
		j, _ := open(t, there, o)
		disk.SyncTime = time.Second
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 100 * time.Millisecond)
				if p, err := j.Add(false, []byte("record"), nil, nil, nil); err == nil {
					if err := j.Await(p); err != nil {
						t.Errorf("Await of a record that was added before Close: %v", err)
					}
				} else if !errors.Is(err, journal.ErrClosed) || i < 10 {
					t.Errorf("caller %d: %v", i, err)
				}
			})
		}
		_, more := j.Committed()
		time.Sleep(time.Second + time.Millisecond)
		if err := j.Close(); err != nil {
			t.Error(err)
		}
		all.Wait()
		_, none := j.Committed()
		if !closed(more) || !closed(none) || !closed(j.Room()) {
			t.Error("a closed journal lets callers wait")
		}
		r := j.Reader(1)
		if _, _, _, err := r.Next(); !errors.Is(err, journal.ErrClosed) {
			t.Errorf("Next after Close: %v, want ErrClosed", err)
		}
		if err := j.Close(); !errors.Is(err, journal.ErrClosed) {
			t.Errorf("Close after Close: %v, want ErrClosed", err)
		}
		disk.Restart(forgetful.NoPages, forgetful.NoNames, rand.New(rand.NewPCG(1, 1)))
		if _, got := open(t, there, o); len(got) < 10 {
			t.Errorf("%d records, want at least 10", len(got))
		}
	})
}

func TestARecordIsAddedAndReadWithoutAllocating(t *testing.T) {
	j, _ := open(t, there, journal.Options{Files: forgetful.New(), SegmentBytes: 4 << 20, Policy: journal.SyncOS})
	record := make([]byte, 1000)
	r := j.Reader(1)
	defer r.Close()
	one := func() {
		p, err := j.Add(false, record[:100], record[100:], nil, nil)
		if err == nil {
			err = j.Await(p)
		}
		if _, _, ok, nextErr := r.Next(); err != nil || nextErr != nil || !ok {
			t.Fatal(err, nextErr, ok)
		}
		j.Release(p)
	}
	for range 20_000 {
		one()
	}
	if allocated := testing.AllocsPerRun(20_000, one); allocated >= 0.1 {
		t.Errorf("%v allocations a record, want none in steady state", allocated)
	}
}
