package network

import (
	"errors"
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
	err := away(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("a network namespace of its own: %w", err)
		}
		n.file, err = openPresent()
		return err
	})
	return n, err
}

// openPresent opens the namespace that the thread is in.
func openPresent() (*os.File, error) { return os.Open("/proc/thread-self/ns/net") }

// away runs f on a thread that no other goroutine has meanwhile. Then the thread goes back to its
// namespace. It lives on, since the kernel ends processes with the thread that started them, if
// they have a Pdeathsig.
func away(f func() error) error {
	result := make(chan error)
	// Ends with f.
	go func() {
		runtime.LockOSThread()
		home, err := openPresent()
		if err != nil {
			result <- err
			return // and the thread with it, since it is still locked
		}
		err = f()
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		result <- errors.Join(err, home.Close())
	}()
	return <-result
}

// inside runs f in the namespace. Sockets and processes that f makes stay there.
func (n *namespace) inside(f func() error) error {
	return away(func() error {
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
