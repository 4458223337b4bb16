package emulatordata

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/durable"
)

// A store of the former form is a database with a value for each batch.
const (
	formerName   = "emulator.db"
	importedName = "emulator.db.imported"

	// importingName is the directory of a store while it is made of a former one.
	importingName = "events.importing"
)

// importFormer makes a store of a former one, if the directory has only that. If it is interrupted,
// the next call begins again.
func (o *Options) importFormer(dir string) error {
	former := filepath.Join(dir, formerName)
	if _, err := os.Stat(former); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("emulatordata: %w", err)
	}
	events := filepath.Join(dir, eventsName)
	if _, err := os.Stat(events); errors.Is(err, fs.ErrNotExist) {
		importing := filepath.Join(dir, importingName)
		if err := os.RemoveAll(importing); err != nil {
			return fmt.Errorf("emulatordata: %w", err)
		}
		if err := o.importInto(importing, former); err != nil {
			return err
		}
		err := os.Rename(importing, events)
		if err == nil {
			err = durable.SyncDirectory(dir) // before the former name goes
		}
		if err != nil {
			return fmt.Errorf("emulatordata: %w", err)
		}
	}
	if err := os.Rename(former, filepath.Join(dir, importedName)); err != nil {
		return fmt.Errorf("emulatordata: %s was imported, but cannot be renamed: %w", former, err)
	}
	return nil
}

// importInto makes a store in a new directory.
func (o *Options) importInto(dir, former string) (err error) {
	options := *o
	options.NoSync = true // Close syncs
	s, err := open(dir, &options)
	if err != nil {
		return err
	}
	s.log.Warn("a store of the former form is imported", "file", former)
	defer func() { err = errors.Join(err, s.Close()) }()
	return readBolt(former, func(key, value []byte) error {
		change := emulator.Change{Key: key, Value: value}
		if emulator.IsFormerBatch(key) {
			var err error
			if change, err = emulator.ReadFormerBatch(key, bytes.Clone(value)); err != nil {
				return &damagedError{former, err}
			}
		}
		if err := s.Update(change); err != nil {
			return fmt.Errorf("emulatordata: %s cannot be imported: %w", former, err)
		}
		return nil
	})
}
