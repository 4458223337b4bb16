package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/go-eventhubs/eventhubs/internal/durable"
)

// Files is the file system under a journal. Package forgetful has one in memory, for tests.
type Files interface {
	// MakeDirectory makes a directory and those above it, for its owner only, durably.
	MakeDirectory(name string) error
	// Open opens an existing file.
	Open(name string, write bool) (File, error)
	// Create makes a new file, for its owner only, whose bytes all have their place on the disk.
	Create(name string, size int64) (File, error)
	// Map opens a file that Create made, whose bytes are then in memory. Writing there costs no call
	// of the system. Errors.ErrUnsupported: the system cannot do that.
	Map(name string) (File, error)
	// Rename replaces a file of the new name.
	Rename(from, to string) error
	Remove(name string) error
	// List returns the names of the files in a directory, in order.
	List(directory string) ([]string, error)
	// SyncDirectory makes the names in a directory durable.
	SyncDirectory(name string) error
	// Lock keeps a file locked until the Closer is closed. If another has it, the error is an
	// *InUseError.
	Lock(name string) (io.Closer, error)
	// Free returns the bytes that this user may still allocate on the directory's disk. 0: unknown.
	Free(directory string) int64
	// Remote returns the name of the file system if its locks and fsyncs are promises of others.
	Remote(directory string) string
}

// A File is open. WriteAt never grows a file that Create made.
type File interface {
	io.ReaderAt
	io.WriterAt
	Sync() error // all bytes that were written
	Push()       // has the system begin to write them to the disk, and does not wait
	Size() (int64, error)
	Close() error
}

// System returns the operating system's file system, for files of others beside a journal's.
func System() Files { return system{} }

// system is the operating system's file system.
type system struct{}

type systemFile struct{ *os.File }

func (f systemFile) Sync() error { return syncData(f.File) }

func (f systemFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (system) MakeDirectory(name string) error {
	var made []string
	for at := filepath.Clean(name); ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			break
		}
		made = append(made, at)
	}
	if err := os.MkdirAll(name, 0o700); err != nil {
		return err
	}
	for _, at := range made {
		if err := durable.SyncDirectory(filepath.Dir(at)); err != nil {
			return err
		}
	}
	return nil
}

func (system) Open(name string, write bool) (File, error) {
	flag := os.O_RDONLY
	if write {
		flag = os.O_RDWR
	}
	f, err := os.OpenFile(name, flag, 0)
	if err != nil {
		return nil, err
	}
	return systemFile{f}, nil
}

func (system) Create(name string, size int64) (File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := allocate(f, size); err != nil {
		return nil, errors.Join(fmt.Errorf("allocate %d bytes for %s: %w", size, name, err), f.Close(), os.Remove(name))
	}
	return systemFile{f}, nil
}

func (system) Rename(from, to string) error { return os.Rename(from, to) }
func (system) Remove(name string) error     { return os.Remove(name) }

func (system) List(directory string) (names []string, err error) {
	entries, err := os.ReadDir(directory)
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

func (system) SyncDirectory(name string) error { return durable.SyncDirectory(name) }

func (system) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	locked, err := lock(f)
	if err == nil && locked {
		// The text only names the process: a failure to write it changes nothing.
		host, _ := os.Hostname()
		_ = f.Truncate(0)
		_, _ = f.WriteAt(fmt.Appendf(nil, "%d %s\n", os.Getpid(), host), 0)
		return f, nil
	}
	var text [300]byte
	n, _ := f.ReadAt(text[:], 0)
	_ = f.Close()
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	inUse := &InUseError{Directory: filepath.Dir(name)}
	pid, host, _ := strings.Cut(strings.TrimSpace(string(text[:n])), " ")
	if inUse.PID, err = strconv.Atoi(pid); err == nil {
		inUse.Host = host
	}
	return nil, inUse
}

func (system) Free(directory string) int64    { return freeBytes(directory) }
func (system) Remote(directory string) string { return remote(directory) }

// writeZeros allocates a file where the system has no call for it.
func writeZeros(f *os.File, size int64) error {
	zeros := make([]byte, min(size, 1<<20))
	for at := int64(0); at < size; at += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at); err != nil {
			return err
		}
	}
	return nil
}

// endOfFile reports whether a read ended where the file does.
func endOfFile(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
