package memorylimit

import (
	"syscall"
	"unsafe"
)

var globalMemoryStatusEx = syscall.NewLazyDLL("kernel32.dll").NewProc("GlobalMemoryStatusEx")

// memoryStatus is the system's MEMORYSTATUSEX.
type memoryStatus struct {
	length, load uint32
	total        uint64 // bytes of physical memory
	_            [6]uint64
}

// machine returns the bytes of the machine's memory; 0: unknown.
func machine() int64 {
	var s memoryStatus
	s.length = uint32(unsafe.Sizeof(s))
	if ok, _, _ := globalMemoryStatusEx.Call(uintptr(unsafe.Pointer(&s))); ok == 0 {
		return 0
	}
	return int64(s.total)
}
