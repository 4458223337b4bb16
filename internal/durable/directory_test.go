package durable

import (
	"errors"
	"os"
	"runtime"
	"syscall"
	"testing"
)

// Some file systems have no fsync of a directory, and report an invalid argument.
func TestADirectoryThatCannotBeSyncedIsGoodEnough(t *testing.T) {
	const directory = "/proc/self"
	if runtime.GOOS != "linux" {
		t.Skip("this platform has no file system of that kind")
	}
	d, err := os.Open(directory)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	if err := d.Sync(); !errors.Is(err, syscall.EINVAL) {
		t.Skipf("it can be synced: %v", err)
	}
	if err := SyncDirectory(directory); err != nil {
		t.Error(err)
	}
}

func TestADirectoryThatIsNotThereIsAnError(t *testing.T) {
	if err := SyncDirectory(t.TempDir()); err != nil {
		t.Errorf("an ordinary directory: %v", err)
	}
	if err := SyncDirectory("none/such"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want that it does not exist", err)
	}
}
