package journal

import (
	"errors"
	"os"
	"syscall"
)

// syncData returns when the file's bytes, and its size, are on the disk.
func syncData(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err != syscall.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

func allocate(f *os.File, size int64) error {
	for {
		err := syscall.Fallocate(int(f.Fd()), 0, 0, size)
		if errors.Is(err, errors.ErrUnsupported) {
			return writeZeros(f, size)
		}
		if err != syscall.EINTR {
			return err
		}
	}
}

// networked names the file systems whose disk or locks are elsewhere, by the kernel's number.
var networked = map[uint32]string{
	0x6969: "NFS", 0x517B: "SMB", 0xFE534D42: "SMB", 0xFF534D42: "SMB", 0x65735546: "FUSE", 0x01021997: "9P",
	0x00C36400: "Ceph", 0x5346414F: "AFS", 0x0BD00BD0: "Lustre", 0x47504653: "GPFS", 0x786F4256: "a shared folder of VirtualBox",
}

func remote(directory string) string {
	var s syscall.Statfs_t
	if syscall.Statfs(directory, &s) != nil {
		return ""
	}
	return networked[uint32(s.Type)]
}
