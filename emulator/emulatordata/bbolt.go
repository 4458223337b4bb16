package emulatordata

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

// lockTimeout is how long readBolt waits for another process to release the file.
const lockTimeout = time.Second

// bucket contains everything; the server's keys distinguish the kinds.
var bucket = []byte("emulator")

// readBolt visits all keys and values of a database in order. Damage is a *damagedError that names
// the file. Key and value are valid until visit returns.
//
// It opens the file for reading only. To write, the database would first look for free pages, on a
// goroutine of its own. There a damaged page ends the process.
func readBolt(path string, visit func(key, value []byte) error) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() == 0 {
		// A copy that failed leaves an empty file. The database would make a new store of it.
		return &damagedError{path, errors.New("it is empty")}
	}
	var file *os.File
	err = guarded(path, func() error {
		db, err := bbolt.Open(path, 0, &bbolt.Options{
			ReadOnly: true, Timeout: lockTimeout,
			OpenFile: func(name string, flag int, mode os.FileMode) (_ *os.File, err error) {
				file, err = os.OpenFile(name, flag, mode)
				return file, err
			},
		})
		if err != nil {
			return err
		}
		err = db.View(func(tx *bbolt.Tx) error { return readBucket(path, tx.Bucket(bucket), visit) })
		return errors.Join(err, db.Close())
	})
	switch {
	case errors.Is(err, bbolterrors.ErrTimeout):
		return inUse(path)
	case errors.Is(err, bbolterrors.ErrInvalid), errors.Is(err, bbolterrors.ErrChecksum), errors.Is(err, bbolterrors.ErrVersionMismatch):
		return &damagedError{path, err}
	}
	if _, damaged := errors.AsType[*damagedError](err); damaged {
		_ = file.Close() // the database may have left it open, and locked
	}
	return err
}

func readBucket(path string, b *bbolt.Bucket, visit func(key, value []byte) error) error {
	if b == nil {
		return nil // the process ended before it stored anything
	}
	var before []byte
	c := b.Cursor()
	for key, value := c.First(); key != nil; key, value = c.Next() {
		if before != nil && bytes.Compare(before, key) >= 0 {
			return &damagedError{path, errors.New("its keys are not in order")}
		}
		before = append(before[:0], key...)
		if err := visit(key, value); err != nil {
			return err
		}
	}
	return nil
}

// A damagedError means that a file is not as it was written.
type damagedError struct {
	path string
	err  error
}

func (e *damagedError) Error() string {
	return fmt.Sprintf("emulatordata: %s is damaged, or is not an emulator's: %v. Put back a copy of the directory, or move it away to begin with a new store", e.path, e.err)
}

func (e *damagedError) Unwrap() error { return e.err }

func inUse(path string) error {
	return fmt.Errorf("emulatordata: %s is in use; is another emulator running with this directory?", path)
}

// guarded calls f. The database panics when it meets a page that is not as it was written. It reads
// through memory, which the system takes away if the file is too short. Both become a
// *damagedError.
func guarded(path string, f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if cause := recover(); cause != nil {
			err = &damagedError{path, fmt.Errorf("%v", cause)}
		}
	}()
	return f()
}
