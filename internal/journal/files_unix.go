//go:build linux || darwin

package journal

import (
	"errors"
	"os"
	"syscall"
)

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
