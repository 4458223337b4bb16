//go:build !linux && !darwin && !windows

package memorylimit

// machine returns the bytes of the machine's memory; 0: unknown.
func machine() int64 { return 0 }
