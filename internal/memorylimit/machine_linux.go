package memorylimit

import "syscall"

// machine returns the bytes of the machine's memory; 0: unknown.
func machine() int64 {
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}
