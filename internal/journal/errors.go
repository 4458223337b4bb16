package journal

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrFull means that the record does not fit within the bound of the disk. Nothing happened.
	ErrFull = errors.New("journal: no room within the bound of the disk")
	// ErrClosed means that the journal was closed.
	ErrClosed = errors.New("journal: closed")
	// ErrReleased means that the reader's next record was released.
	ErrReleased = errors.New("journal: the record was released")
)

// An InUseError means that another process, or another Journal of this one, has the directory.
type InUseError struct {
	Directory string
	PID       int    // 0: unknown
	Host      string // "": unknown
}

func (e *InUseError) Error() string {
	by := ""
	if e.PID > 0 {
		by = fmt.Sprintf(" by process %d on %s", e.PID, e.Host)
	}
	return fmt.Sprintf("journal: directory %s is in use%s: end that process, or use another directory", e.Directory, by)
}

// An OwnerError means that the directory was made for another owner.
type OwnerError struct{ Directory, Owner, Wanted string }

func (e *OwnerError) Error() string {
	return fmt.Sprintf("journal: directory %s belongs to %q, not to %q: use a directory for each", e.Directory, e.Owner, e.Wanted)
}

// A DamagedError means that records which were kept cannot be read.
type DamagedError struct {
	File    string
	Offset  int64
	First   Position // of the records that cannot be read; 0: unknown
	Records uint64   // how many; 0: unknown
	Err     error
}

func (e *DamagedError) Error() string {
	records := "an unknown number of records"
	if e.Records > 0 {
		records = fmt.Sprintf("%d records", e.Records)
	}
	from := ""
	if e.First > 0 {
		from = fmt.Sprintf(" from position %d on", e.First)
	}
	return fmt.Sprintf("journal: file %s is damaged at byte %d, %s%s cannot be read: %v", e.File, e.Offset, records, from, e.Err)
}

func (e *DamagedError) Unwrap() error { return e.Err }

// A FormatError means that a newer version of this code wrote the journal.
type FormatError struct {
	File         string
	Found, Known int // major versions
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("journal: file %s has format %d, this version reads up to %d: use the version that wrote it", e.File, e.Found, e.Known)
}

// A FailedError means that a write or an fsync failed, and that no other file could take the
// records. Records that were added and not kept may be in the journal or not. Only opening again
// clears it.
type FailedError struct {
	Err error
	At  time.Time // of the failure
}

func (e *FailedError) Error() string {
	return fmt.Sprintf("journal: the disk failed: %v: mend it, then open the journal again", e.Err)
}

func (e *FailedError) Unwrap() error { return e.Err }
