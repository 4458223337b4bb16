// Package emulatordata keeps an emulator's events in a file. After a restart the events have the
// same sequence numbers and offsets, so checkpoints that refer to them stay valid.
//
//	store, err := emulatordata.Open("data", nil)
//	if err != nil {
//		return err
//	}
//	defer store.Close()
//	server, err := emulator.New(&emulator.Options{Store: store})
//	if err != nil {
//		return err
//	}
//	defer server.Close() // before the store
//
// It is a separate package, so that programs without durable events do not link a database.
package emulatordata

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

const (
	fileName = "emulator.db"

	// lockTimeout is how long Open waits for another process to release the file.
	lockTimeout = time.Second

	// commitDelay is how long an update waits for others, to be written together with them. A write
	// takes longer.
	commitDelay = time.Millisecond
)

// bucket contains everything; the server's keys distinguish the kinds.
var bucket = []byte("emulator")

// Options configure [Open]. Nil means the defaults.
type Options struct {
	// NoSync lets the operating system decide when to write to the disk, which is much faster.
	// Acknowledged events still survive the end of the process, but a crash of the machine may
	// damage the file.
	NoSync bool
}

// A Store is an [emulator.Store] in a file. Its methods may be called by several goroutines at
// once.
type Store struct {
	db *bbolt.DB
}

// Open opens the store in a directory, and makes the directory if it does not exist. Only one
// process at a time can open a store; Open waits one second for another to close it. The caller
// must Close the store, after the server that uses it.
func Open(dir string, options *Options) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("emulatordata: cannot make the directory: %w", err)
	}
	path := filepath.Join(dir, fileName)
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:        lockTimeout,
		NoSync:         options != nil && options.NoSync,
		NoFreelistSync: true, // it is rebuilt when the file is opened
		FreelistType:   bbolt.FreelistMapType,
	})
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return nil, fmt.Errorf("emulatordata: %s is in use; is another emulator running with this directory?", path)
	}
	if err != nil {
		return nil, fmt.Errorf("emulatordata: cannot open %s: %w", path, err)
	}
	db.MaxBatchDelay = commitDelay
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
	if err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("emulatordata: cannot write to %s: %w", path, err)
	}
	return &Store{db}, nil
}

// Update implements [emulator.Store]. Simultaneous updates are written together.
func (s *Store) Update(changes ...emulator.Change) error {
	return s.db.Batch(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucket)
		for _, c := range changes {
			var err error
			if c.Value == nil {
				err = b.Delete(c.Key)
			} else {
				err = b.Put(c.Key, c.Value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Scan implements [emulator.Store].
func (s *Store) Scan(prefix []byte, visit func(key, value []byte) error) error {
	return s.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucket).Cursor()
		for key, value := c.Seek(prefix); key != nil && bytes.HasPrefix(key, prefix); key, value = c.Next() {
			if err := visit(key, value); err != nil {
				return err
			}
		}
		return nil
	})
}

// Close closes the file. It waits for updates under way.
func (s *Store) Close() error { return s.db.Close() }
