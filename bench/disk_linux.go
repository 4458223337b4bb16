package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData is fdatasync.
func syncData(file *os.File) error { return unix.Fdatasync(int(file.Fd())) }

// uncache drops a synced file from the system's cache.
func uncache(file *os.File) error { return unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED) }
