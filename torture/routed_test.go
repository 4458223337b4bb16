package main

import (
	"io"
	"net"
	"slices"
	"testing"
	"time"

	router "github.com/go-eventhubs/eventhubs/torture/network"
)

// newRoutedTest is a routed network before a server that sends back what it gets, and a way to dial
// it. It skips the test where there is no root.
func newRoutedTest(t *testing.T) (n *routed, dial func() net.Conn) {
	t.Helper()
	r, err := newRouter(1)
	if err != nil {
		if router.Possible() {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	var listener net.Listener
	if err := r.InsideServer(func() (err error) { listener, err = net.Listen("tcp", serviceAddress()); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	// Ends with the listener.
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			// Ends with the connection, which the proxy closes.
			go func() { _, _ = io.Copy(c, c) }()
		}
	}()
	if n, err = newRouted(r, listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.close(); err != nil {
			t.Error(err)
		}
	})
	return n, func() (c net.Conn) {
		err := r.Way(0).Inside(func() (err error) { c, err = net.DialTimeout("tcp", n.address(0), 20*time.Second); return err })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		return c
	}
}

// TestEachFaultOfPacketsActsAndEnds has bytes sent during each fault until it is seen to act. After
// its end a new connection passes.
func TestEachFaultOfPacketsActsAndEnds(t *testing.T) {
	n, dial := newRoutedTest(t)
	for i := range kinds {
		k := &kinds[i]
		if k.layer != inPackets {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			conn := dial()
			if _, err := exchange(conn, frame(100)); err != nil {
				t.Fatal(err)
			}
			observed := make(chan string, 10)
			n.disturb(0, k.name, k.lasts[0], func(what string) { observed <- what })
			// Ends with conn, after the test.
			go func() {
				for i := 0; ; i++ {
					// The fault of an address acts on connections that are made after it.
					if k.name == newAddress && i == 0 {
						_ = n.router.Way(0).Inside(func() error {
							c, err := net.DialTimeout("tcp", n.address(0), time.Second)
							if err == nil {
								_ = c.Close()
							}
							return nil
						})
					}
					if _, err := conn.Write(make([]byte, 20_000)); err != nil {
						return
					}
				}
			}()
			go func() { _, _ = io.Copy(io.Discard, conn) }() // ends with conn
			select {
			case what := <-observed:
				t.Log(what)
			case <-time.After(10 * time.Second):
				t.Fatal("nobody saw the fault act")
			}
			_ = conn.Close()
			n.faults.Wait()
			if _, err := exchange(dial(), frame(100)); err != nil {
				t.Errorf("after the fault: %v", err)
			}
			if len(observed) > 0 {
				t.Errorf("the fault was reported again: %s", <-observed)
			}
		})
	}
}

// TestCalmEndsFaultsOfPackets has a black hole that would last for an hour.
func TestCalmEndsFaultsOfPackets(t *testing.T) {
	n, dial := newRoutedTest(t)
	conn := dial()
	n.disturb(0, holeUp, time.Hour, func(string) {})
	n.calm()
	if _, err := exchange(conn, frame(100)); err != nil {
		t.Errorf("after calm: %v", err)
	}
}

func TestEveryKindOfPacketsHasItsFault(t *testing.T) {
	named := 0
	for _, k := range kinds {
		if (packetFaults[k.name] != nil) != (k.layer == inPackets) {
			t.Errorf("%s: the layer is %s, and the router's fault is %v", k.name, k.layer, packetFaults[k.name])
		}
		if k.layer == inPackets {
			named++
		}
	}
	if named != len(packetFaults) {
		t.Errorf("%d kinds have a fault of the router's, want %d", named, len(packetFaults))
	}
}

func TestPlainLeavesFaultsOfPacketsAndDisksOut(t *testing.T) {
	plain, all := (&options{plain: true}).kinds(), (&options{}).kinds()
	if len(plain) != len(all)-len(packetFaults)-1 || slices.ContainsFunc(plain, func(k *kind) bool { return k.layer == inPackets || k.layer == inDisk }) {
		t.Errorf("-plain has %d of %d kinds, want %d fewer", len(plain), len(all), len(packetFaults)+1)
	}
}
