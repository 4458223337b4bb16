//go:build !linux && !darwin && !windows

package journal

import (
	"errors"
	"os"
)

func syncData(f *os.File) error { return f.Sync() }

func allocate(f *os.File, size int64) error { return writeZeros(f, size) }

func remote(string) string { return "" }

func freeBytes(string) int64 { return 0 }

func lock(*os.File) (bool, error) { return false, errors.ErrUnsupported }

func (system) Map(string) (File, error) { return nil, errors.ErrUnsupported }
