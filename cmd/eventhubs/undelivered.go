package main

import (
	"encoding/json"
	"errors"
	"os"
	"sync"
	"unicode/utf8"

	"github.com/go-eventhubs/eventhubs"
)

// An undelivered is the file of --undelivered: the events that are not stored, or not surely, as records that publish reads with --format events.
type undelivered struct {
	// Immutable.
	name    string
	process *process

	mu      sync.Mutex // guards the fields below; writing to the file is the only wait under it
	file    *os.File
	encoder *json.Encoder
	count   int
	err     error // the first that writing met
}

// An undeliveredRecord is one line of the file. publish passes over the last three fields.
type undeliveredRecord struct {
	Key         *string        `json:"key,omitempty"`
	Properties  map[string]any `json:"properties,omitempty"`
	ContentType *string        `json:"contentType,omitempty"`
	Body        *string        `json:"body,omitempty"`
	BodyBase64  []byte         `json:"bodyBase64,omitempty"`
	Partition   string         `json:"partition,omitempty"`
	Outcome     string         `json:"outcome"`
	Error       string         `json:"error"`
}

// createUndelivered makes the file, so that nobody finds out at the first failure that this cannot be done. A name of nothing is no file.
func createUndelivered(p *process, name string) (*undelivered, error) {
	if name == "" {
		return nil, nil
	}
	if info, err := os.Stat(name); err == nil && (info.Size() > 0 || !info.Mode().IsRegular()) {
		return nil, badInput("--undelivered %s: there is something in it already; give the name of a new file", name)
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600) // events may be confidential
	if err != nil {
		return nil, badInput("--undelivered: %w", err)
	}
	u := &undelivered{name: name, process: p, file: file, encoder: json.NewEncoder(file)}
	u.encoder.SetEscapeHTML(false)
	return u, nil
}

// batch writes the events of a batch that failed. It runs on the producer's senders.
func (u *undelivered) batch(b *eventhubs.Batch) {
	if u == nil {
		return
	}
	message := u.process.message(b.Outcome.Err)
	u.mu.Lock()
	defer u.mu.Unlock()
	for e := range b.Events() {
		r := undeliveredRecord{
			Properties: jsonProperties(e.Data.Properties), ContentType: e.Data.ContentType,
			Partition: b.PartitionID, Outcome: b.Outcome.Storage.String(), Error: message,
		}
		if e.PartitionKey != "" {
			r.Key = &e.PartitionKey
		}
		u.writeLocked(r, e.Data.Body)
	}
}

// write writes one event.
func (u *undelivered) write(r undeliveredRecord, body []byte) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.writeLocked(r, body)
}

func (u *undelivered) writeLocked(r undeliveredRecord, body []byte) {
	if utf8.Valid(body) {
		r.Body = new(string(body))
	} else {
		r.BodyBase64 = body
	}
	switch err := u.encoder.Encode(r); {
	case err == nil:
		u.count++
	case u.err == nil:
		u.err = err
	}
}

// close closes the file, and takes it away if there is nothing in it. It returns how many events it holds.
func (u *undelivered) close() (count int, err error) {
	if u == nil {
		return 0, nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	err = errors.Join(u.err, u.file.Close())
	if u.count == 0 && err == nil {
		err = os.Remove(u.name)
	}
	return u.count, err
}
