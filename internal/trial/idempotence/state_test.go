package idempotence

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// hubIn returns the directory in which a store keeps the hub of keyOf.
func hubIn(directory string) string {
	return filepath.Join(directory, "name.servicebus.windows.net", "hub")
}

func TestAFileStateKeepsWhatWasSaved(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "made", "by it")
	state := eventhubs.NewFileProducerStore(directory)
	var none eventhubs.ProducerID
	if got, err := state.Load(t.Context(), world.KeyOf("0")); got != none || err != nil {
		t.Errorf("before anything was saved Load returned %v, %v", got, err)
	}
	before := none
	for epoch := range int16(12) { // so that epochs have more than one digit
		id := eventhubs.ProducerID{ID: -1 << 60, Epoch: epoch}
		if err := state.Save(t.Context(), world.KeyOf("0"), before, id); err != nil {
			t.Fatal(err)
		}
		if err := state.Save(t.Context(), world.KeyOf("0"), before, id); !errors.Is(err, eventhubs.ErrProducerStateChanged) {
			t.Errorf("Save over another epoch returned %v", err)
		}
		if got, err := eventhubs.NewFileProducerStore(directory).Load(t.Context(), world.KeyOf("0")); got != id || err != nil {
			t.Errorf("Load returned %v, %v, want %v", got, err, id)
		}
		before = id
	}
	if got, err := state.Load(t.Context(), world.KeyOf("1")); got != none || err != nil {
		t.Errorf("Load of another partition returned %v, %v", got, err)
	}
	if names := filesIn(t, hubIn(directory)); len(names) != 2 {
		t.Errorf("the directory has %q, want the latest and the one before", names)
	}
}

func filesIn(t *testing.T, directory string) (names []string) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// A crash may leave files at any moment: an older epoch that was not removed yet, or a file that
// was not linked yet. Neither counts.
func TestAFileStateIsNotMisledByWhatACrashHasLeft(t *testing.T) {
	directory := t.TempDir()
	state := eventhubs.NewFileProducerStore(directory)
	first, second := eventhubs.ProducerID{ID: 5, Epoch: 9}, eventhubs.ProducerID{ID: 5, Epoch: 10}
	mustSave(t, state, eventhubs.ProducerID{}, first)
	mustSave(t, state, first, second)
	if names := filesIn(t, hubIn(directory)); len(names) != 2 {
		t.Errorf("the directory has %q, want the older one too", names)
	}
	write(t, filepath.Join(hubIn(directory), ".new-12345"), `{"id":`)
	write(t, filepath.Join(hubIn(directory), "0.lock"), "somebody else's")
	if got, err := state.Load(t.Context(), world.KeyOf("0")); got != second || err != nil {
		t.Errorf("Load returned %v, %v, want %v", got, err, second)
	}
	third := eventhubs.ProducerID{ID: 5, Epoch: 11}
	mustSave(t, state, second, third)
	if names := filesIn(t, hubIn(directory)); len(names) != 4 { // including the two foreign files
		t.Errorf("the directory has %q", names)
	}
	if got, err := state.Load(t.Context(), world.KeyOf("0")); got != third || err != nil {
		t.Errorf("Load returned %v, %v, want %v", got, err, third)
	}
}

func mustSave(t *testing.T, state eventhubs.ProducerStore, old, id eventhubs.ProducerID) {
	t.Helper()
	if err := state.Save(t.Context(), world.KeyOf("0"), old, id); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAFileStateThatIsCorruptNamesItsFile(t *testing.T) {
	for _, text := range []string{"", "{", "null", `{"id":0,"epoch":0}`, `{"id":7,"epoch":-1}`, `{"id":7,"epoch":32768}`, `{"id":"7"}`, "\x00\x00\x00\x00"} {
		directory := t.TempDir()
		state := eventhubs.NewFileProducerStore(directory)
		mustSave(t, state, eventhubs.ProducerID{}, eventhubs.ProducerID{ID: 5})
		name := filepath.Join(hubIn(directory), filesIn(t, hubIn(directory))[0])
		write(t, name, text)
		_, err := state.Load(t.Context(), world.KeyOf("0"))
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("Load of %q returned %v, want the name of the file", text, err)
		}
		if err := state.Save(t.Context(), world.KeyOf("0"), eventhubs.ProducerID{}, eventhubs.ProducerID{ID: 6}); err == nil || errors.Is(err, eventhubs.ErrProducerStateChanged) {
			t.Errorf("Save over %q returned %v", text, err)
		}
	}
}

func TestAFileStateStaysInItsDirectory(t *testing.T) {
	above := t.TempDir()
	state := eventhubs.NewFileProducerStore(filepath.Join(above, "state"))
	ids := []string{"../0", "..", ".", "/0", `..\0`, "a.1", "a", "%2e", "C:", "nul\x00"}
	for i, id := range ids {
		if err := state.Save(t.Context(), world.KeyOf(id), eventhubs.ProducerID{}, eventhubs.ProducerID{ID: int64(i + 1)}); err != nil {
			t.Errorf("Save of partition %q: %v", id, err)
		}
	}
	for i, id := range ids {
		if got, err := state.Load(t.Context(), world.KeyOf(id)); got.ID != int64(i+1) || err != nil {
			t.Errorf("Load of partition %q returned %v, %v, want the id %d", id, got, err, i+1)
		}
	}
	if names := filesIn(t, above); len(names) != 1 {
		t.Errorf("above the directory there is %q", names)
	}
}

// A store may serve producers of several hubs, and keeps them apart. Two producers with one id
// would fence each other off, or take each other's numbers.
func TestAFileStateKeepsHubsAndNamespacesApart(t *testing.T) {
	above := t.TempDir()
	directory := filepath.Join(above, "state")
	state := eventhubs.NewFileProducerStore(directory)
	names := []string{"a", "b", "", ".", "..", "../a", "a/b", "a%2Fb", "%2E", "%", "a:5671", "a%3A5671", `..\a`}
	saved := map[eventhubs.ProducerKey]eventhubs.ProducerID{}
	for _, namespace := range names {
		for _, hub := range names {
			key := eventhubs.ProducerKey{FullyQualifiedNamespace: namespace, EventHubName: hub, PartitionID: "0"}
			saved[key] = eventhubs.ProducerID{ID: int64(len(saved) + 1)}
			if err := state.Save(t.Context(), key, eventhubs.ProducerID{}, saved[key]); err != nil {
				t.Fatalf("Save of %+v: %v", key, err)
			}
		}
	}
	for key, want := range saved {
		if got, err := eventhubs.NewFileProducerStore(directory).Load(t.Context(), key); got != want || err != nil {
			t.Errorf("Load of %+v returned %v, %v, want %v", key, got, err, want)
		}
	}
	if got := filesIn(t, above); len(got) != 1 {
		t.Errorf("above the directory there is %q", got)
	}
}

func TestTwoHubsShareAStoreAndNoIdentity(t *testing.T) {
	world.InMemory(t, func(w *world.World) {
		state := &world.BrittleState{ProducerStore: eventhubs.NewFileProducerStore(w.TempDir())}
		var keys []eventhubs.ProducerKey
		state.OnSave = func(_ context.Context, key eventhubs.ProducerKey, _, _ eventhubs.ProducerID) error {
			keys = append(keys, key)
			return nil
		}
		p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true, ProducerStore: state})
		w.Must(w.Publish(p, "1", "a").Err)
		want := eventhubs.ProducerKey{FullyQualifiedNamespace: p.FullyQualifiedNamespace(), EventHubName: strings.ToLower(p.EventHubName()), PartitionID: "1"}
		w.Want("the key", fmt.Sprint(keys), fmt.Sprint([]eventhubs.ProducerKey{want}))
		other := want
		other.EventHubName = "other"
		mine, err := state.Load(w.Context(), want)
		w.Must(err)
		others, err := state.Load(w.Context(), other)
		w.Must(err)
		w.Want("saved, and nothing for another hub", fmt.Sprint(mine != eventhubs.ProducerID{}, others == eventhubs.ProducerID{}), "true true")
	})
}

func TestAFileStateThatCannotBeWrittenSaysWhere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "")
	state := eventhubs.NewFileProducerStore(filepath.Join(file, "below"))
	if err := state.Save(t.Context(), world.KeyOf("0"), eventhubs.ProducerID{}, eventhubs.ProducerID{ID: 5}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("Save below a file returned %v", err)
	}
}

const racerVariable = "EVENTHUBS_TEST_STATE_RACER"

// Two processes of four goroutines race for each epoch of one directory. Each epoch is won at most
// once, also by a goroutine so slow that others have gone on.
func TestOfTwoProcessesOneWinsEachEpoch(t *testing.T) {
	if directory := os.Getenv(racerVariable); directory != "" {
		race(t, directory)
		return
	}
	directory := t.TempDir()
	var processes []*exec.Cmd
	var outputs [2]strings.Builder
	for i := range outputs {
		c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOfTwoProcessesOneWinsEachEpoch$", "-test.v")
		c.Env = append(os.Environ(), racerVariable+"="+directory)
		c.Stdout = &outputs[i]
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		processes = append(processes, c)
	}
	winners := map[string]int{}
	for i, c := range processes {
		if err := c.Wait(); err != nil {
			t.Fatalf("%v\n%s", err, &outputs[i])
		}
		for line := range strings.Lines(outputs[i].String()) {
			if epoch, ok := strings.CutPrefix(strings.TrimSpace(line), "won "); ok {
				if winners[epoch]++; winners[epoch] > 1 {
					t.Errorf("epoch %s was won twice", epoch)
				}
			}
		}
	}
	// A winner that was overtaken before it could look gets an error instead.
	if len(winners) < racedEpochs/2 {
		t.Errorf("of %d epochs %d were won", racedEpochs, len(winners))
	}
	if got, err := eventhubs.NewFileProducerStore(directory).Load(t.Context(), world.KeyOf("0")); got.Epoch != racedEpochs-1 || err != nil {
		t.Errorf("at the end Load returned %v, %v", got, err)
	}
	if names := filesIn(t, hubIn(directory)); len(names) > 4 {
		t.Errorf("the directory has %q", names)
	}
}

const racedEpochs = 200

// race saves the next epoch whenever it can, until there are enough.
func race(t *testing.T, directory string) {
	var racers sync.WaitGroup
	for range 4 {
		racers.Go(func() {
			state := eventhubs.NewFileProducerStore(directory)
			for {
				old, err := state.Load(t.Context(), world.KeyOf("0"))
				if errors.Is(err, os.ErrNotExist) {
					continue // the state was replaced while it was read
				}
				next := eventhubs.ProducerID{ID: 5, Epoch: old.Epoch + 1}
				switch {
				case err != nil:
					t.Error(err)
					return
				case old.ID == 0:
					next.Epoch = 0
				case next.Epoch == racedEpochs:
					return
				}
				err = state.Save(t.Context(), world.KeyOf("0"), old, next)
				switch {
				case err == nil:
					fmt.Printf("\nwon %03d\n", next.Epoch)
				case !errors.Is(err, eventhubs.ErrProducerStateChanged) && !errors.Is(err, os.ErrNotExist):
					t.Error(err)
					return
				}
			}
		})
	}
	racers.Wait()
}

// A store that fails is asked again like any other failure, with a code of its own. Nothing is sent
// meanwhile.
func TestAStateThatFailsIsTriedAgain(t *testing.T) {
	for _, failing := range []string{"loading", "saving"} {
		world.InMemory(t, func(w *world.World) {
			failures := 0
			fail := func() error {
				if failures++; failures <= 3 {
					return world.ErrDisk
				}
				return nil
			}
			state := &world.BrittleState{ProducerStore: world.NewMemoryState()}
			if failing == "loading" {
				state.OnLoad = func(context.Context) error { return fail() }
			} else {
				state.OnSave = func(context.Context, eventhubs.ProducerKey, eventhubs.ProducerID, eventhubs.ProducerID) error {
					return fail()
				}
			}
			p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true, ProducerStore: state})
			err := p.Connect(w.Context(), nil)
			if e, ok := errors.AsType[*eventhubs.Error](err); !ok || e.Code != eventhubs.CodeProducerStore || !e.Transient || e.PartitionID != "0" || !errors.Is(err, world.ErrDisk) || !strings.Contains(err.Error(), failing) {
				w.Errorf("Connect returned %v", err)
			}
			o := w.Publish(p, "0", "a")
			w.Want("the outcome", fmt.Sprint(o.Storage, o.Tries), "stored 1")
			w.Want("partition 0", w.NumbersIn("0"), "[0/1 a]")
		})
	}
}

// A store that hangs costs its partition one try timeout each time, and the other partitions
// nothing.
func TestAStateThatBlocksHoldsUpItsPartitionOnly(t *testing.T) {
	world.InMemory(t, func(w *world.World) {
		state := &world.BrittleState{ProducerStore: world.NewMemoryState(), OnLoad: func(ctx context.Context) error {
			if time.Since(start()) < 15*time.Second {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}}
		p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true, ProducerStore: state, Retry: eventhubs.RetryOptions{TryTimeout: 5 * time.Second, MaxRetries: 1}})
		o := w.Publish(p, "0", "a")
		e, ok := errors.AsType[*eventhubs.Error](o.Err)
		if took := time.Since(start()); !ok || e.Code != eventhubs.CodeProducerStore || took < 10*time.Second || took > 12*time.Second || o.Storage != eventhubs.NotStored {
			w.Errorf("the outcome is %+v after %v", o, took)
		}
		time.Sleep(10 * time.Second)
		w.Must(w.Publish(p, "0", "b").Err)
		w.Want("partition 0", w.NumbersIn("0"), "[0/1 b]")
	})
}

// start is the time at which every bubble begins.
func start() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }

// The store keeps the next epoch before the service sees it. A crash in between skips an epoch, and
// never uses one twice.
func TestAnEpochIsSavedBeforeItIsClaimed(t *testing.T) {
	world.InMemory(t, func(w *world.World) {
		state := world.NewMemoryState()
		p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true, ProducerStore: state})
		w.Must(w.Publish(p, "0", "a").Err)
		attaches := 0
		w.Server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindAttach && op.PartitionID == "0" {
				attaches++
			}
			return emulator.Pass()
		})
		brittle := &world.BrittleState{ProducerStore: state, OnSave: func(_ context.Context, _ eventhubs.ProducerKey, old, id eventhubs.ProducerID) error {
			w.Want("the saved id", fmt.Sprint(old.Epoch, id.Epoch, old.ID == id.ID), "0 1 true")
			w.Want("attaches before that", attaches, 0)
			return world.ErrDisk
		}}
		next := w.Producer(eventhubs.Options{EnableIdempotentRetries: true, ProducerStore: brittle, Retry: eventhubs.RetryOptions{MaxRetries: -1}})
		w.Want("with a full disk", w.Publish(next, "0", "b").Storage, eventhubs.NotStored)
		w.Must(w.Publish(p, "0", "c").Err) // no other producer has taken over
		brittle.OnSave = nil
		w.Must(w.Publish(next, "0", "d").Err)
		w.Want("partition 0", w.NumbersIn("0"), "[0/1 a 0/2 c 1/3 d]")
	})
}

// Of two producers that begin at once, the last one wins, and the other gets an error.
func TestTwoProducersWithOneState(t *testing.T) {
	world.InMemory(t, func(w *world.World) {
		state := world.NewMemoryState()
		a := w.Producer(eventhubs.Options{EnableIdempotentRetries: true, ProducerStore: state})
		b := w.Producer(eventhubs.Options{EnableIdempotentRetries: true, ProducerStore: state})
		w.Must(w.Publish(a, "0", "a").Err)
		w.Must(w.Publish(b, "0", "b").Err)
		w.Must(w.Publish(b, "1", "c").Err)
		w.Must(w.Publish(a, "1", "d").Err)
		w.WantFailure("the first, on partition 0", w.Publish(a, "0", "e"), eventhubs.CodeFenced, eventhubs.NotStored)
		w.WantFailure("the second, on partition 1", w.Publish(b, "1", "f"), eventhubs.CodeFenced, eventhubs.NotStored)
		w.Want("partition 0", w.NumbersIn("0"), "[0/1 a 1/2 b]")
		w.Want("partition 1", w.NumbersIn("1"), "[0/1 c 1/2 d]")
	})
}

// Another process has saved an id meanwhile. A producer that has sent something is the former one,
// and its error says so. A producer that has sent nothing begins with the saved id.
func TestAStateThatWasChangedMeanwhile(t *testing.T) {
	world.InMemory(t, func(w *world.World) {
		state := world.NewMemoryState()
		stolenOnce := false
		brittle := &world.BrittleState{ProducerStore: state, OnSave: func(ctx context.Context, _ eventhubs.ProducerKey, old, _ eventhubs.ProducerID) error {
			if stolenOnce {
				return nil
			}
			stolenOnce = true
			return state.Save(ctx, world.KeyOf("0"), old, eventhubs.ProducerID{ID: 4711, Epoch: 5})
		}}
		p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true, ProducerStore: brittle})
		w.Must(w.Publish(p, "0", "a").Err)
		w.Want("partition 0", w.NumbersIn("0"), "[6/1 a]")

		w.OnTransfer(func(n int, _ emulator.Operation) emulator.Action {
			if n == 1 {
				return emulator.Reject(world.OutOfOrder, "so that the epoch is raised")
			}
			return emulator.Pass()
		})
		w.Must(state.Save(w.Context(), world.KeyOf("0"), eventhubs.ProducerID{ID: 4711, Epoch: 6}, eventhubs.ProducerID{ID: 4711, Epoch: 7}))
		w.WantFailure("the first", w.Publish(p, "0", "b"), eventhubs.CodeOutOfOrder, eventhubs.NotStored)
		o := w.Publish(p, "0", "c")
		w.WantFailure("then", o, eventhubs.CodeFenced, eventhubs.NotStored)
		w.Want("the reason", errors.Is(o.Err, eventhubs.ErrProducerStateChanged), true)
	})
}
