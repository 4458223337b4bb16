package network

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// A namespace is a network namespace without a name. It ends with its file and its processes.
type namespace struct{ file *os.File }

func newNamespace() (*namespace, error) {
	n := &namespace{}
	err := onThread(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("a network namespace of its own: %w", err)
		}
		n.file, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	return n, err
}

// onThread runs f on a thread of the system that ends with it. What f does to its thread harms no
// other goroutine.
func onThread(f func() error) error {
	result := make(chan error)
	// Ends with f, and its thread with it, since it does not unlock.
	go func() {
		runtime.LockOSThread()
		err := f()
		result <- err
	}()
	return <-result
}

// inside runs f on a thread in the namespace. Sockets and processes that f makes stay there.
func (n *namespace) inside(f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("entering a network namespace: %w", err)
		}
		return f()
	})
}

// start starts a process in the namespace.
func (n *namespace) start(c *exec.Cmd) error { return n.inside(c.Start) }

// sysctl sets a variable below net, for example ipv4/tcp_retries2.
func (n *namespace) sysctl(name, value string) error {
	return n.inside(func() error {
		return os.WriteFile(filepath.Join("/proc/sys/net", name), []byte(value), 0o600)
	})
}

func (n *namespace) close() error { return n.file.Close() }
