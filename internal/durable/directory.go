// Package durable makes names of files last over a power cut.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// SyncDirectory makes the directory's entries durable, where the system can.
func SyncDirectory(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) || errors.Is(err, fs.ErrPermission) {
		err = nil // Windows and some file systems cannot sync a directory
	}
	return errors.Join(err, d.Close())
}
