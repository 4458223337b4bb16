package emulatordata_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	entry := &emulator.Entry{Events: 1}
	if err := store.Update(emulator.Change{Log: "x", Entry: entry}, emulator.Change{Log: "y", Entry: entry}); err == nil {
		t.Error("an update with two entries succeeds")
	}
	if err := store.Update(emulator.Change{Log: "x", Entry: entry, Removed: 1}); err == nil {
		t.Error("an entry is removed that does not exist")
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

// written makes a store with events in two tables and the journal, and returns its directory. Close
// is not the last word: a kill leaves the same.
func written(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	store, err := emulatordata.OpenSmall(dir)
	if err != nil {
		t.Fatal(err)
	}
	server := start(t, store)
	for i := range 60 {
		if err := seed(server, strconv.Itoa(i%4), bodyOf(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(server.Close(), store.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

func bodyOf(i int) string { return strings.Repeat(strconv.Itoa(i)+" ", 40) }

// filesOf are the files of a store with their contents, without its lock.
func filesOf(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == "lock" {
			return err
		}
		files[path], err = os.ReadFile(path)
		return err
	})
	if err != nil || len(files) < 4 {
		t.Fatal(slices.Collect(maps.Keys(files)), err)
	}
	return files
}

// judge opens a damaged store. It must be refused with an error that names a file and the remedy.
// Otherwise it must show its events, up to the first that cannot be read, and never wrong ones.
// judge returns whether anything is missing.
func judge(t *testing.T, what, dir string) (found bool) {
	t.Helper()
	store, err := emulatordata.OpenSmall(dir)
	if err != nil {
		if !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "is damaged") || !strings.Contains(err.Error(), "move it away") {
			t.Errorf("%s: got %v, want an error that names the file and what to do", what, err)
		}
		return true
	}
	defer store.Close()
	var log bytes.Buffer
	server, err := emulator.New(&emulator.Options{Addr: emulator.InMemory, Store: store, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Errorf("%s: the server: %v", what, err)
		return true
	}
	defer server.Close()
	for p := range 4 {
		events := collect(server, strconv.Itoa(p))
		for i, e := range events {
			if e.SequenceNumber != int64(i) || string(e.Body) != bodyOf(4*i+p) {
				t.Errorf("%s: partition %d: event %d has sequence number %d and body %.20q", what, p, i, e.SequenceNumber, e.Body)
			}
		}
		if len(events) < 15 {
			found = true
			if text := log.String(); !strings.Contains(text, "events cannot be read") || !strings.Contains(text, dir) || !strings.Contains(text, "is damaged") {
				t.Errorf("%s: partition %d has %d of 15 events, and the log does not name the damage: %s", what, p, len(events), text)
			}
		}
	}
	return found
}

func TestADamagedFileIsNamed(t *testing.T) {
	dir := written(t)
	files := filesOf(t, dir)
	restore := func() {
		if err := os.RemoveAll(filepath.Join(dir, "events")); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(dir, "events"), 0o700); err != nil {
			t.Fatal(err)
		}
		for path, content := range files {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	tables, newest := 0, ""
	for path := range files {
		if filepath.Ext(path) == ".table" {
			newest = max(newest, path)
		}
	}
	for path, content := range files {
		free := filepath.Ext(path) == ".free" // it has nothing
		table := filepath.Ext(path) == ".table"
		if table {
			tables++
		}
		name := filepath.Base(path)
		restore()
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if !judge(t, name+" is empty", dir) && !free {
			t.Errorf("%s is empty, and no error says so", name)
		}
		restore()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		// The journal may still have what is in the newest table. Then nothing is missing.
		if !judge(t, name+" is missing", dir) && !free && path != newest {
			t.Errorf("%s is missing, and no error says so", name)
		}
		restore()
		if err := os.WriteFile(path, content[:len(content)/2], 0o600); err != nil {
			t.Fatal(err)
		}
		if !judge(t, name+" is cut in half", dir) && table {
			t.Errorf("%s is cut in half, and no error says so", name)
		}
		for at := 0; table && at < len(content); at += 37 {
			restore()
			damaged := bytes.Clone(content)
			damaged[at] ^= 0x40
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			judge(t, fmt.Sprintf("byte %d of %s is changed", at, name), dir)
		}
	}
	if tables < 2 {
		t.Errorf("the store has %d tables, want more", tables)
	}
	restore()
	if judge(t, "nothing is damaged", dir) {
		t.Error("a store that is not damaged lacks events")
	}
}

func TestATableOfALaterFormatIsRefused(t *testing.T) {
	dir := written(t)
	path := ""
	for name := range filesOf(t, dir) {
		if filepath.Ext(name) == ".table" {
			path = max(path, name)
		}
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	footer := content[len(content)-56:]
	footer[40] = 2
	binary.LittleEndian.PutUint32(footer[52:], crc32.Checksum(footer[:52], crc32.MakeTable(crc32.Castagnoli)))
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = emulatordata.OpenSmall(dir)
	if want := path + " has the format 2, and this version reads 1: use the version that wrote it"; err == nil || !strings.HasSuffix(err.Error(), ": "+want) || strings.Count(err.Error(), "emulatordata: ") != 1 {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestADirectoryThatIsNoStoreIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := emulatordata.Open(file, nil); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("opening a file instead of a directory: %v", err)
	}
}

func TestAMessageLargerThanASegmentIsKept(t *testing.T) {
	dir := t.TempDir()
	body := bytes.Repeat([]byte("0123456789abcdef"), 5<<20/8) // 10 MiB
	for run := range 3 {
		store := open(t, dir)
		server := start(t, store)
		events := collect(server, "0")
		if len(events) != run {
			t.Fatalf("run %d: %d events", run, len(events))
		}
		for i, e := range events {
			if !bytes.Equal(e.Body, body) {
				t.Errorf("run %d: event %d has %d bytes, or others", run, i, len(e.Body))
			}
		}
		if err := server.Seed("events", "0", emulator.Event{Body: body}); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(server.Close(), store.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// sizeOf are the bytes of the files in a directory, some of which may go meanwhile.
func sizeOf(t *testing.T, dir string) (sum int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			sum += info.Size()
		}
	}
	return sum
}

// Of a partition that is idle, few events stay. They do not keep the files of the others.
func TestFilesTakeAboutWhatTheEventsTake(t *testing.T) {
	dir := t.TempDir()
	store, err := emulatordata.OpenSmall(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	server, err := emulator.New(&emulator.Options{Addr: emulator.InMemory, Store: store, Hubs: []emulator.Hub{{Name: "events", Retention: emulator.Retention{Events: 20}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if err := seed(server, "3", "idle"); err != nil {
		t.Fatal(err)
	}
	most := int64(0)
	for i := range 1200 {
		if err := seed(server, strconv.Itoa(i%3), bodyOf(i)); err != nil {
			t.Fatal(err)
		}
		if i%100 == 0 {
			most = max(most, sizeOf(t, filepath.Join(dir, "events")))
		}
	}
	// 60 events of 200 bytes stay, and the journal has 5 segments of 8 KiB.
	if most > 100<<10 {
		t.Errorf("the files took up to %d bytes", most)
	}
	for p, want := range map[string]int{"0": 20, "1": 20, "2": 20, "3": 1} {
		if got := collect(server, p); len(got) != want {
			t.Errorf("partition %s has %d events, want %d", p, len(got), want)
		}
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
