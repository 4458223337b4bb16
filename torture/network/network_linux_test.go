package network

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// newNetwork is a network with a server that sends back what it gets. The test is skipped without
// root or /dev/net/tun, and fails if both are there.
func newNetwork(t *testing.T) (*Network, string) {
	t.Helper()
	n, err := New(1, 1)
	if err != nil {
		if Possible() {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	var listener net.Listener
	err = n.InsideServer(func() (err error) {
		listener, err = net.Listen("tcp", netip.AddrPortFrom(ServerAddress, 0).String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	// Ends with the listener, and each connection's with its test.
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
			go func() { _, _ = io.Copy(c, c) }()
		}
	}()
	return n, listener.Addr().String()
}

func dial(t *testing.T, w *Way, address string) (c net.Conn) {
	t.Helper()
	err := w.Inside(func() (err error) {
		c, err = net.DialTimeout("tcp", address, 20*time.Second)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// echo sends so many bytes and compares what comes back.
func echo(t *testing.T, c net.Conn, size int, within time.Duration) error {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(within))
	sent := []byte(strings.Repeat("0123456789abcdef", size/16+1)[:size])
	failed := make(chan error, 1)
	go func() { _, err := c.Write(sent); failed <- err }() // ends by the deadline
	got := make([]byte, size)
	_, err := io.ReadFull(c, got)
	if err == nil && string(got) != string(sent) {
		t.Error("the bytes that came back are others")
	}
	return errors.Join(err, <-failed)
}

const enough = 30 * time.Second // for what takes a moment on an idle machine

func TestRealTCPPassesUnharmed(t *testing.T) {
	n, address := newNetwork(t)
	c := dial(t, n.Way(0), address)
	if err := echo(t, c, 1<<20, enough); err != nil {
		t.Fatal(err)
	}
	if from := netip.MustParseAddrPort(c.LocalAddr().String()).Addr(); from != n.Way(0).Address() {
		t.Errorf("the client is %v, want %v", from, n.Way(0).Address())
	}
	up, down := n.Way(0).Count()
	if up.Bytes < 1<<20 || down.Bytes < 1<<20 || up.Delivered+up.Waiting != up.Packets || up.Lost != 0 {
		t.Errorf("counted %+v up and %+v down, want 1 MiB each and no faults", up, down)
	}
	if nat := n.Way(0).CountNAT(); nat.Mapped != 1 || nat.Unmapped != 0 {
		t.Errorf("counted %+v, want one mapping", nat)
	}
}

func TestRealTCPMendsLossReorderingAndDuplicates(t *testing.T) {
	n, address := newNetwork(t)
	bad := Settings{Loss: 0.02, Duplicate: 0.02, Reorder: 0.02, Delay: 5 * time.Millisecond, Jitter: 2 * time.Millisecond}
	n.Way(0).Set(bad, bad)
	c := dial(t, n.Way(0), address)
	if err := echo(t, c, 1<<20, 2*enough); err != nil {
		t.Fatal(err)
	}
	up, down := n.Way(0).Count()
	for name, c := range map[string]Counters{"up": up, "down": down} {
		if c.Lost == 0 || c.Duplicated == 0 || c.HeldUp == 0 || c.Delayed == 0 || c.Overtaken == 0 {
			t.Errorf("%s: %+v: a fault met no packet", name, c)
		}
	}
}

func TestLargePacketsVanishWithoutAWord(t *testing.T) {
	n, address := newNetwork(t)
	c := dial(t, n.Way(0), address)
	n.Way(0).Set(Settings{MaxPacket: 1300}, Settings{})
	if err := echo(t, c, 500, enough); err != nil {
		t.Errorf("small packets: %v", err)
	}
	if err := echo(t, c, 20_000, time.Second); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("large packets: got %v, want nothing within a second", err)
	}
	if up, _ := n.Way(0).Count(); up.TooLarge == 0 {
		t.Error("no packet was counted as too large")
	}
}

func TestABlackHoleOfOneDirectionEnds(t *testing.T) {
	n, address := newNetwork(t)
	c := dial(t, n.Way(0), address)
	n.Way(0).Set(Settings{}, Settings{BlackHole: true})
	if err := echo(t, c, 500, 300*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want nothing", err)
	}
	n.Way(0).Set(Settings{}, Settings{})
	_ = c.SetDeadline(time.Now().Add(enough))
	if _, err := io.ReadFull(c, make([]byte, 500)); err != nil {
		t.Errorf("after the black hole: %v", err)
	}
	if up, down := n.Way(0).Count(); up.BlackHoled != 0 || down.BlackHoled == 0 {
		t.Errorf("%d packets vanished up and %d down, want none and some", up.BlackHoled, down.BlackHoled)
	}
}

func TestForgottenMappingsAreSilentOrReset(t *testing.T) {
	n, address := newNetwork(t)
	w := n.Way(0)
	c := dial(t, w, address)
	if err := echo(t, c, 5, enough); err != nil {
		t.Fatal(err)
	}
	if dropped := w.ForgetMappings(); dropped != 1 {
		t.Errorf("%d mappings were dropped, want 1", dropped)
	}
	if err := echo(t, c, 5, 500*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want silence", err)
	}
	if err := echo(t, dial(t, w, address), 5, enough); err != nil {
		t.Errorf("a new connection: %v", err)
	}
	w.SetNAT(0, true)
	w.ForgetMappings()
	c = dial(t, w, address)
	w.ForgetMappings()
	if err := echo(t, c, 5, enough); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
	if nat := w.CountNAT(); nat.Unmapped == 0 || nat.Reset == 0 || nat.Mapped != 3 {
		t.Errorf("counted %+v, want 3 mappings, and packets without one", nat)
	}
}

func TestANewAddressLeavesConnectionsHalfOpen(t *testing.T) {
	n, address := newNetwork(t)
	w := n.Way(0)
	c := dial(t, w, address)
	before := w.Address()
	if err := w.ChangeAddress(); err != nil {
		t.Fatal(err)
	}
	if w.Address() == before {
		t.Error("the address is the same")
	}
	if err := echo(t, c, 5, 500*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the former connection: got %v, want silence", err)
	}
	c = dial(t, w, address)
	if err := echo(t, c, 5, enough); err != nil {
		t.Errorf("a new connection: %v", err)
	}
	if from := netip.MustParseAddrPort(c.LocalAddr().String()).Addr(); from != w.Address() {
		t.Errorf("the client is %v, want %v", from, w.Address())
	}
}

func TestProcessesStartInTheirNamespaces(t *testing.T) {
	n, _ := newNetwork(t)
	seen := func(start func(*exec.Cmd) error) string {
		var out strings.Builder
		c := exec.Command("cat", "/proc/self/net/fib_trie")
		c.Stdout = &out
		if err := errors.Join(start(c), c.Wait()); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	client, server := seen(n.Way(0).Start), seen(n.StartServer)
	if !strings.Contains(client, n.Way(0).Address().String()) || strings.Contains(client, ServerAddress.String()) {
		t.Errorf("the client's process has not the client's addresses:\n%s", client)
	}
	if !strings.Contains(server, ServerAddress.String()) {
		t.Errorf("the server's process has not the server's address:\n%s", server)
	}
}

// TestProcessesLiveOnAfterTheirThread: a Pdeathsig is of the thread that started the process.
func TestProcessesLiveOnAfterTheirThread(t *testing.T) {
	n, _ := newNetwork(t)
	c := exec.Command("cat")
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := c.StdinPipe()
	if err := errors.Join(err, n.Way(0).Start(c)); err != nil {
		t.Fatal(err)
	}
	for range 20 { // threads that end would have ended by now
		if err := n.InsideServer(func() error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(in.Close(), c.Wait()); err != nil {
		t.Errorf("the process ended with %v", err)
	}
}

func TestVariablesAreOfOneNamespace(t *testing.T) {
	n, _ := newNetwork(t)
	if err := n.Way(0).Sysctl("ipv4/tcp_retries2", "7"); err != nil {
		t.Fatal(err)
	}
	get := func(inside func(func() error) error) (value string) {
		if err := inside(func() error {
			b, err := os.ReadFile("/proc/sys/net/ipv4/tcp_retries2")
			value = strings.TrimSpace(string(b))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return value
	}
	if client, server := get(n.Way(0).Inside), get(n.InsideServer); client != "7" || server == "7" {
		t.Errorf("the client has %s and the server %s, want 7 for the client alone", client, server)
	}
}

func TestTooManyClientsAreRefused(t *testing.T) {
	for _, ways := range []int{-1, 0, MaxWays + 1} {
		if n, err := New(ways, 1); err == nil {
			_ = n.Close()
			t.Errorf("%d clients: no error", ways)
		}
	}
}
