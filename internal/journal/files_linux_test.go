package journal

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestASegmentHasItsBlocksFromTheStart(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	f, err := system{}.Create(name, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var s syscall.Stat_t
	if err := syscall.Stat(name, &s); err != nil || s.Size != 1<<20 || s.Blocks*512 < 1<<20 {
		t.Errorf("%d bytes in %d blocks, %v, want all blocks of 1 MiB", s.Size, s.Blocks, err)
	}
	if _, err := (system{}).Create(name, 1); !os.IsExist(err) {
		t.Errorf("the file was made twice: %v", err)
	}
	if free := (system{}).Free(filepath.Dir(name)); free < 1<<20 {
		t.Errorf("%d bytes are free", free)
	}
}

func TestANewDirectoryIsMadeWithThoseAbove(t *testing.T) {
	base := t.TempDir()
	name := filepath.Join(base, "a", "b", "c")
	if err := (system{}).MakeDirectory(name); err != nil {
		t.Fatal(err)
	}
	for at := name; at != base; at = filepath.Dir(at) {
		if info, err := os.Stat(at); err != nil || info.Mode() != fs.ModeDir|0o700 {
			t.Errorf("%s: %v, %v", at, info, err)
		}
	}
	if err := os.WriteFile(filepath.Join(name, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (system{}).MakeDirectory(filepath.Join(name, "file")); err == nil {
		t.Error("a file is no directory")
	}
}

func TestFileSystemsOfTheNetworkAreKnown(t *testing.T) {
	for number, want := range map[uint32]string{0x6969: "NFS", 0xFF534D42: "SMB", 0x65735546: "FUSE", 0xEF53: ""} {
		if got := networked[number]; got != want {
			t.Errorf("%x is %q, want %q", number, got, want)
		}
	}
}
