package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"sync"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/eventjson"
)

// An undelivered is the file of --undelivered. It holds the events that are not stored, or only
// possibly, as records for --format events.
type undelivered struct {
	// Immutable.
	name    string
	process *process

	mu      sync.Mutex // guards the fields below; writing to the file is the only wait under it
	file    *os.File
	encoder *json.Encoder
	count   int
	err     error // the first error of writing
}

// An undeliveredRecord is one line of the file. publish ignores the last three fields.
type undeliveredRecord struct {
	eventjson.Message
	Partition string `json:"partition,omitempty"`
	Outcome   string `json:"outcome"`
	Error     string `json:"error"`
}

// newUndeliveredRecord describes an event.
func newUndeliveredRecord(e *eventhubs.Event, outcome eventhubs.Storage, cause string) undeliveredRecord {
	return undeliveredRecord{Message: eventjson.New(messageOf(e)), Partition: e.PartitionID, Outcome: outcome.String(), Error: cause}
}

// createUndelivered makes the file at the start, so that the user learns at once if this fails. An
// empty name means no file.
//
// The file must be new. An existing file or link, even one that leads nowhere, is neither followed
// nor overwritten.
func createUndelivered(p *process, name string) (*undelivered, error) {
	if name == "" {
		return nil, nil
	}
	// Events may be confidential.
	file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil, badInput("--undelivered %s: %s has that name already and is not overwritten; give the name of a new file, or move it away", name, describeFile(name))
	case err != nil:
		return nil, badInput("--undelivered: %w", withoutCall(err))
	}
	u := &undelivered{name: name, process: p, file: file, encoder: json.NewEncoder(file)}
	u.encoder.SetEscapeHTML(false)
	return u, nil
}

// describeFile says what kind of file has a name.
func describeFile(name string) string {
	info, err := os.Lstat(name)
	switch {
	case err != nil:
		return "something" // it was removed meanwhile
	case info.IsDir():
		return "a directory"
	case info.Mode()&fs.ModeSymlink != 0:
		return "a link"
	case !info.Mode().IsRegular():
		return "a pipe, socket or device"
	case info.Size() == 0:
		return "an empty file"
	}
	return "a file"
}

// batch writes the events of a failed batch, and reports whether the file has all of them. It runs
// on the producer's senders.
func (u *undelivered) batch(b *eventhubs.Batch) (kept bool) {
	if u == nil {
		return false
	}
	message := u.process.message(b.Outcome.Err)
	u.mu.Lock()
	defer u.mu.Unlock()
	for e := range b.Events() {
		// The note of a record has the event with all types. An event of a journal has no note.
		if n, ok := e.Tag.(*note); ok && n.record != nil {
			e = n.record
		}
		r := newUndeliveredRecord(e, b.Outcome.Storage, message)
		r.Partition = b.PartitionID
		u.writeLocked(r)
	}
	return u.err == nil
}

// write writes one event, and reports whether the file has all so far. Close returns the error.
func (u *undelivered) write(r undeliveredRecord) (kept bool) {
	if u == nil {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.writeLocked(r)
	return u.err == nil
}

func (u *undelivered) writeLocked(r undeliveredRecord) {
	switch err := u.encoder.Encode(r); {
	case err == nil:
		u.count++
	case u.err == nil:
		u.err = err
	}
}

// close closes the file, and removes it if it is empty. It returns the number of events in it.
func (u *undelivered) close() (count int, err error) {
	if u == nil {
		return 0, nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	ours, err := u.file.Stat()
	err = errors.Join(u.err, err, u.file.Close())
	if u.count == 0 && err == nil {
		err = u.takeAway(ours)
	}
	return u.count, err
}

// takeAway removes the file, unless it was renamed or another file has its name.
func (u *undelivered) takeAway(ours fs.FileInfo) error {
	there, err := os.Lstat(u.name)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && !os.SameFile(ours, there), err == nil && there.Size() > 0:
		return nil
	case err != nil:
		return err
	}
	return os.Remove(u.name)
}
