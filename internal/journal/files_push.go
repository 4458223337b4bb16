//go:build linux && (386 || amd64 || arm64 || riscv64)

package journal

import "syscall"

func (f systemFile) Push() {
	const write = 2                                     // SYNC_FILE_RANGE_WRITE
	_ = syscall.SyncFileRange(int(f.Fd()), 0, 0, write) // Sync reports what fails
}
