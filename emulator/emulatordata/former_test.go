package emulatordata_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatordata"
	"go.etcd.io/bbolt"
)

// writeFormer makes a store of the former form: hub "Events" with 2 partitions, whose first batches
// retention has dropped, and an idempotent producer. It returns its file.
func writeFormer(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "emulator.db")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte("emulator"))
		if err != nil {
			return err
		}
		put := func(key string, value []byte) {
			err = errors.Join(err, b.Put([]byte(key), value))
		}
		put("hub\x00events", []byte(`{"Hub":{"Name":"Events","Partitions":2,"ConsumerGroups":["mine"]},"Created":"2026-01-02T03:04:05Z"}`))
		for p := range uint32(2) {
			offset := uint64(1000)
			for i := range uint64(300) {
				body := bodyOf(int(i))
				message := append([]byte{0, 0x53, 0x75, 0xb0}, binary.BigEndian.AppendUint32(nil, uint32(len(body)))...)
				message = append(message, body...)
				key := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32([]byte("batch\x00events\x00"), p), 7+i)
				value := append([]byte{1}, 0, 0, 0, 0)
				value = binary.BigEndian.AppendUint64(value, offset)
				value = binary.BigEndian.AppendUint64(value, uint64(time.Date(2026, 1, 2, 0, 0, int(i), 0, time.UTC).UnixMilli()))
				put(string(key), append(value, message...))
				offset += uint64(len(message))
			}
		}
		producer := append([]byte("producer\x00events\x00"), 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 42)
		put(string(producer), []byte{1, 0, 3, 0, 0, 0, 9})
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAStoreOfTheFormerFormIsImported(t *testing.T) {
	path := writeFormer(t)
	dir := filepath.Dir(path)
	// An import that was interrupted left this.
	if err := os.MkdirAll(filepath.Join(dir, "events.importing"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "events.importing", "journal.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for run := range 2 {
		store := open(t, dir)
		server := start(t, store)
		for _, p := range []string{"0", "1"} {
			events := collect(server, p)
			if len(events) != 300+run {
				t.Fatalf("run %d: partition %s has %d events, want %d", run, p, len(events), 300+run)
			}
			for i, e := range events[:300] {
				if want := time.Date(2026, 1, 2, 0, 0, i, 0, time.UTC); e.SequenceNumber != int64(7+i) || string(e.Body) != bodyOf(i) || !e.EnqueuedTime.Equal(want) {
					t.Errorf("partition %s: event %d is %d of %v with %.20q", p, i, e.SequenceNumber, e.EnqueuedTime, e.Body)
				}
			}
			if events[0].Offset != "1000" {
				t.Errorf("partition %s begins with the offset %s, want 1000", p, events[0].Offset)
			}
			if err := seed(server, p, "new"); err != nil {
				t.Fatal(err)
			}
		}
		hub := server.Snapshot().Hubs[0]
		if want := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC); hub.Name != "events" || !hub.Created.Equal(want) || fmt.Sprint(hub.ConsumerGroups) != "[$Default mine]" {
			t.Errorf("the hub is %+v", hub)
		}
		found := false
		if err := store.Scan([]byte("producer\x00events\x00"), func(_, value []byte) error {
			found = bytes.Equal(value, []byte{1, 0, 3, 0, 0, 0, 9})
			return nil
		}); err != nil || !found {
			t.Errorf("the producer is not there, %v", err)
		}
		if err := errors.Join(server.Close(), store.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path + ".imported"); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("the former file is still there: %v", err)
		}
	}
}

func TestAFileInPlaceOfTheDirectoryIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := "emulatordata: " + file + " is a file; give a directory"
	if _, err := emulatordata.Open(file, nil); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestAnEmptyFileOfTheFormerFormIsNotANewStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "emulator.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := emulatordata.Open(filepath.Dir(path), nil)
	if err == nil || !strings.Contains(err.Error(), path+" is damaged") || !strings.Contains(err.Error(), "it is empty") {
		t.Errorf("got %v, want an error that names the empty file", err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 0 {
		t.Errorf("the file is not as it was: %v", err)
	}
}

// A former store whose pages are damaged, or cut off, is imported as far as its database can tell,
// or is refused by an error that names the file. It never ends the process.
func TestADamagedFileOfTheFormerFormIsNamed(t *testing.T) {
	path := writeFormer(t)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	try := func(what string, damaged []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, "emulator.db")
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		store, err := emulatordata.Open(dir, nil)
		if err == nil {
			if err := store.Close(); err != nil {
				t.Errorf("%s: closing it: %v", what, err)
			}
			return
		}
		refused++
		if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "move it away") {
			t.Errorf("%s: got %v, want an error that names the file and what to do", what, err)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, damaged) {
			t.Errorf("%s: the file is not as it was, %v", what, err)
		}
	}
	page := os.Getpagesize()
	for at := 0; at < len(content); at += 5 * page {
		damaged := bytes.Clone(content)
		clear(damaged[at:min(at+page, len(damaged))])
		try("page "+strconv.Itoa(at/page)+" is empty", damaged)
		if at > 0 {
			try("cut before page "+strconv.Itoa(at/page), content[:at])
		}
	}
	try("garbage", bytes.Repeat([]byte("garbage "), 4096))
	if refused < 10 {
		t.Errorf("%d damaged stores were refused, want more: is this the format?", refused)
	}
}

func TestAFormerStoreInUseIsNotImported(t *testing.T) {
	path := writeFormer(t)
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := emulatordata.Open(filepath.Dir(path), nil); err == nil || !strings.Contains(err.Error(), path+" is in use") {
		t.Errorf("got %v, want that the file is in use", err)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(path), "events")); !os.IsNotExist(err) {
		t.Errorf("a store was made all the same: %v", err)
	}
}

var _ emulator.Store = (*emulatordata.Store)(nil)
