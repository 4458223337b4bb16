package journal

import (
	"errors"
	"os"
	"syscall"
	"unsafe"
)

var (
	kernel32           = syscall.NewLazyDLL("kernel32.dll")
	lockFileEx         = kernel32.NewProc("LockFileEx")
	getDiskFreeSpaceEx = kernel32.NewProc("GetDiskFreeSpaceExW")
)

func syncData(f *os.File) error { return f.Sync() }

func allocate(f *os.File, size int64) error { return writeZeros(f, size) }

func remote(string) string { return "" }

func (system) Map(string) (File, error) { return nil, errors.ErrUnsupported }

// lock takes the kernel's lock, which ends with the process. It locks a byte far after the text,
// since other processes cannot read a locked byte.
func lock(f *os.File) (bool, error) {
	const exclusive, failImmediately, lockViolation = 2, 1, syscall.Errno(33)
	at := syscall.Overlapped{Offset: 1 << 30}
	ok, _, err := lockFileEx.Call(f.Fd(), exclusive|failImmediately, 0, 1, 0, uintptr(unsafe.Pointer(&at)))
	if ok != 0 {
		return true, nil
	}
	if errors.Is(err, lockViolation) || errors.Is(err, syscall.ERROR_IO_PENDING) {
		return false, nil
	}
	return false, err
}

func freeBytes(directory string) int64 {
	name, err := syscall.UTF16PtrFromString(directory)
	if err != nil {
		return 0
	}
	var free uint64
	if ok, _, _ := getDiskFreeSpaceEx.Call(uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(&free)), 0, 0); ok == 0 {
		return 0
	}
	return int64(free)
}
