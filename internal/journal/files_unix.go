//go:build linux || darwin

package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"syscall"
)

func (system) Map(name string) (File, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	size, err := systemFile{f}.Size()
	if err == nil {
		var bytes []byte
		if bytes, err = syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED); err == nil {
			return &mapped{systemFile{f}, bytes}, nil
		}
	}
	return nil, errors.Join(err, f.Close())
}

// A mapped file's bytes are in memory that the system writes to the disk.
type mapped struct {
	systemFile
	bytes []byte
}

// WriteAt returns an error also if the system cannot give the memory, as after an error of the
// disk.
func (m *mapped) WriteAt(p []byte, at int64) (n int, err error) {
	if at < 0 || at+int64(len(p)) > int64(len(m.bytes)) {
		return 0, io.ErrShortWrite
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("write to the mapped file %s: %v", m.Name(), fault)
		}
	}()
	return copy(m.bytes[at:], p), nil
}

func (m *mapped) Close() error { return errors.Join(syscall.Munmap(m.bytes), m.systemFile.Close()) }

// lock takes the kernel's lock, which ends with the process.
func lock(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

func freeBytes(directory string) int64 {
	var s syscall.Statfs_t
	if syscall.Statfs(directory, &s) != nil {
		return 0
	}
	return int64(s.Bavail) * int64(s.Bsize)
}
