package emulatordata_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatordata"
)

// childDir makes the test binary the process that is killed; its value is the directory of the
// store.
const childDir = "EMULATORDATA_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		fmt.Fprintln(os.Stderr, storeForever(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func open(t *testing.T, dir string) *emulatordata.Store {
	t.Helper()
	store, err := emulatordata.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() }) // perhaps again
	return store
}

func start(t *testing.T, store emulator.Store) *emulator.Server {
	t.Helper()
	server, err := emulator.New(&emulator.Options{Addr: emulator.InMemory, Store: store})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() }) // perhaps again
	return server
}

func seed(server *emulator.Server, partition, body string) error {
	return server.Seed("events", partition, emulator.Event{Body: []byte(body)})
}

func TestUpdatesAreAllOrNothingAndScansAreInOrder(t *testing.T) {
	store := open(t, t.TempDir())
	put := func(key, value string) emulator.Change {
		return emulator.Change{Key: []byte(key), Value: []byte(value)}
	}
	if err := store.Update(put("b2", "2"), put("a", "0"), put("b1", "1"), put("b3", "3"), put("c", "4")); err != nil {
		t.Fatal(err)
	}
	if err := store.Update(emulator.Change{Key: []byte("b2")}, emulator.Change{Key: []byte("nosuch")}, put("b4", "")); err != nil {
		t.Fatal(err)
	}
	if err := store.Update(put("b5", "5"), put("", "no key")); err == nil {
		t.Error("an update with an empty key succeeds")
	}
	var got []string
	scan := func(key, value []byte) error {
		got = append(got, string(key)+string(value))
		return nil
	}
	if err := store.Scan([]byte("b"), scan); err != nil || fmt.Sprint(got) != "[b11 b33 b4]" {
		t.Errorf("scanned %v, %v", got, err)
	}
	stop := errors.New("stop")
	if err := store.Scan(nil, func([]byte, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("a scan that is stopped returns %v", err)
	}
}

func TestEventsSurviveARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "by", "Open")
	for run := range 3 {
		store := open(t, dir)
		server := start(t, store)
		for i, e := range collect(server, "1") {
			if want := fmt.Sprint(i); string(e.Body) != want || e.SequenceNumber != int64(i) {
				t.Errorf("run %d: event %d is %q with sequence number %d", run, i, e.Body, e.SequenceNumber)
			}
		}
		if got := server.Counts("events", "1").Events; got != run*10 {
			t.Errorf("run %d finds %d events, want %d", run, got, run*10)
		}
		for i := range 10 {
			if err := seed(server, "1", fmt.Sprint(run*10+i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(server.Close(), store.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func collect(server *emulator.Server, partition string) (all []emulator.Event) {
	for e := range server.Events("events", partition) {
		all = append(all, e)
	}
	return all
}

func TestStoreCannotBeOpenTwice(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	_, err := emulatordata.Open(dir, nil)
	if err == nil || !strings.Contains(err.Error(), "is in use; is another emulator running") || !strings.Contains(err.Error(), dir) {
		t.Errorf("opening it again: %v", err)
	}
}

func TestFileThatIsNoStoreIsRefused(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	other := t.TempDir()
	path := filepath.Join(other, files[0].Name())
	if err := os.WriteFile(path, bytes.Repeat([]byte("garbage "), 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := emulatordata.Open(other, nil); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("opening garbage: %v", err)
	}
	file := filepath.Join(other, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := emulatordata.Open(file, nil); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("opening a file instead of a directory: %v", err)
	}
}

// storeForever stores events in all partitions at once and prints each after it is stored. It ends
// by being killed.
func storeForever(dir string) error {
	store, err := emulatordata.Open(dir, nil)
	if err != nil {
		return err
	}
	server, err := emulator.New(&emulator.Options{Addr: emulator.InMemory, Store: store})
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	var failed error
	for _, partition := range server.PartitionIDs("events") {
		// Each ends when storing fails, or the process is killed.
		wg.Go(func() {
			for n := server.Counts("events", partition).Events; ; n++ {
				if err := seed(server, partition, strings.Repeat(strconv.Itoa(n)+" ", 1000)); err != nil {
					failed = err
					return
				}
				fmt.Printf("%s %d\n", partition, n) // one write each
			}
		})
	}
	wg.Wait()
	return failed
}

func TestWhatWasStoredSurvivesAKilledProcess(t *testing.T) {
	dir := t.TempDir()
	stored := make(map[string]int) // events that the process has reported as stored
	for range 3 {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), childDir+"="+dir)
		child.Stderr = t.Output()
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			var partition string
			var number int
			if _, err := fmt.Sscan(lines.Text(), &partition, &number); err == nil {
				if number != stored[partition] {
					t.Errorf("partition %s goes on with %d, want %d", partition, number, stored[partition])
				}
				stored[partition] = number + 1
			}
			if n == 50 {
				_ = child.Process.Kill() // during the next writes; its output is read to the end
			}
		}
		_ = child.Wait() // killed, it says

		store := open(t, dir)
		server := start(t, store)
		for _, partition := range server.PartitionIDs("events") {
			events := collect(server, partition)
			if len(events) < stored[partition] {
				t.Errorf("partition %s holds %d events; %d were stored", partition, len(events), stored[partition])
			}
			for i, e := range events {
				if e.SequenceNumber != int64(i) || string(e.Body) != strings.Repeat(strconv.Itoa(i)+" ", 1000) {
					t.Errorf("partition %s: event %d has sequence number %d and body %.20q", partition, i, e.SequenceNumber, e.Body)
				}
			}
			stored[partition] = len(events) // one more may have been stored without a report
		}
		if err := errors.Join(server.Close(), store.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if len(stored) != 4 {
		t.Errorf("only partitions %v have events", stored)
	}
}
