package network

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"time"
)

// MaxWays is how many clients a network may have.
const MaxWays = 250

// ServerAddress is the server's in every network. Clients dial it.
var ServerAddress = netip.AddrFrom4([4]byte{10, 2, 0, 1})

// A Network has a namespace for the server and one for each client. Its methods, and those of its
// ways, may be called at any time from any goroutine.
type Network struct {
	server *namespace
	device *os.File
	ways   []*Way
	once   sync.Once
	err    error // of Close
	wg     sync.WaitGroup
}

// A Way is that between one client and the server.
type Way struct {
	number   int
	network  *Network
	client   *namespace
	device   *os.File
	nat      *nat
	up, down *direction

	mu        sync.Mutex
	addresses int // that the client has had
}

// New makes a network with so many clients. It says what is missing if it cannot: it needs root and
// /dev/net/tun. The seed is that of the faults.
func New(ways int, seed uint64) (*Network, error) {
	if ways < 1 || ways > MaxWays {
		return nil, fmt.Errorf("network: %d clients: there may be 1 to %d", ways, MaxWays)
	}
	n := &Network{}
	if err := n.build(ways, seed); err != nil {
		return nil, errors.Join(fmt.Errorf("network: it needs root and /dev/net/tun: %w", err), n.Close())
	}
	n.wg.Go(n.fromServer) // until Close
	return n, nil
}

func (n *Network) build(ways int, seed uint64) (err error) {
	if n.server, n.device, err = newEnd(ServerAddress); err != nil {
		return err
	}
	for i := range ways {
		w := &Way{number: i, network: n, nat: newNAT(netip.AddrFrom4([4]byte{10, 3, byte(i), 1})), addresses: 1}
		if w.client, w.device, err = newEnd(w.addressLocked()); err != nil {
			return err
		}
		w.up = newDirection(seed, uint64(2*i), func(p packet) { write(n.device, p) })
		w.down = newDirection(seed, uint64(2*i+1), func(p packet) { write(w.device, p) })
		n.ways = append(n.ways, w)
		// All three end with Close.
		n.wg.Go(w.up.run)
		n.wg.Go(w.down.run)
		n.wg.Go(w.fromClient)
	}
	return nil
}

// newEnd makes a namespace with a device.
func newEnd(address netip.Addr) (*namespace, *os.File, error) {
	space, err := newNamespace()
	if err != nil {
		return nil, nil, err
	}
	_ = space.sysctl("ipv6/conf/all/disable_ipv6", "1") // a kernel without IPv6 has none
	device, err := openTUN(space, address)
	if err != nil {
		return nil, nil, errors.Join(err, space.close())
	}
	return space, device, nil
}

// write passes a packet to a kernel. It fails only when the device is closed, or the kernel has no
// memory. Then the packet is lost, as it would be on a real line.
func write(device *os.File, p packet) { _, _ = device.Write(p) }

// read reads packets of a kernel until the device is closed.
func read(device *os.File, each func([]byte)) {
	buffer := make([]byte, 1<<16)
	for {
		size, err := device.Read(buffer)
		if err != nil {
			return
		}
		each(append(make([]byte, 0, size), buffer[:size]...))
	}
}

func (n *Network) fromServer() {
	read(n.device, func(b []byte) {
		p, ok := parse(b)
		if !ok {
			return
		}
		for _, w := range n.ways {
			if p.destination().Addr() == w.nat.outer && w.nat.in(p) {
				w.down.send(p)
			}
		}
	})
}

func (w *Way) fromClient() {
	read(w.device, func(b []byte) {
		p, ok := parse(b)
		if !ok || p.destination().Addr() != ServerAddress {
			w.nat.foreign()
			return
		}
		passes, answer := w.nat.out(p)
		if passes {
			w.up.send(p)
		} else if answer != nil {
			write(w.device, answer)
		}
	})
}

// Close ends the router and the devices. Processes in the namespaces go on without a network.
func (n *Network) Close() error {
	n.once.Do(func() {
		errs := closeEnd(n.device, n.server)
		for _, w := range n.ways {
			errs = errors.Join(errs, closeEnd(w.device, w.client))
			w.up.close()
			w.down.close()
		}
		n.wg.Wait()
		n.err = errs
	})
	return n.err
}

func closeEnd(device *os.File, space *namespace) (err error) {
	if device != nil {
		err = device.Close()
	}
	if space != nil {
		err = errors.Join(err, space.close())
	}
	return err
}

// Way is the way of one client, counted from 0.
func (n *Network) Way(client int) *Way { return n.ways[client] }

// StartServer starts a process in the server's namespace.
func (n *Network) StartServer(c *exec.Cmd) error { return n.server.start(c) }

// InsideServer runs f in the server's namespace. Sockets that f opens stay there.
func (n *Network) InsideServer(f func() error) error { return n.server.inside(f) }

// Start starts a process in the client's namespace.
func (w *Way) Start(c *exec.Cmd) error { return w.client.start(c) }

// Inside runs f in the client's namespace. Sockets that f opens stay there.
func (w *Way) Inside(f func() error) error { return w.client.inside(f) }

// Sysctl sets a variable of the client's kernel below net.
func (w *Way) Sysctl(name, value string) error { return w.client.sysctl(name, value) }

// Set sets the faults of both directions: up is from the client to the server. Packets that already
// wait keep their time.
func (w *Way) Set(up, down Settings) {
	w.up.set(up)
	w.down.set(down)
}

// Count returns the counters of both directions.
func (w *Way) Count() (up, down Counters) { return w.up.count(), w.down.count() }

// CountNAT returns the counters of the address translation.
func (w *Way) CountNAT() NATCounters { return w.nat.count() }

// SetNAT has mappings forgotten that the client has not used for a time; 0 forgets none. Packets
// without a mapping are dropped, or answered with an RST.
func (w *Way) SetNAT(forget time.Duration, reset bool) { w.nat.set(forget, reset) }

// ForgetMappings drops all mappings and returns how many there were. The connections are half open
// then: neither side hears of it.
func (w *Way) ForgetMappings() int { return w.nat.forgetAll() }

// ChangeAddress gives the client another address, as when a machine joins another network. The
// packets of its connections have the former address, and the kernel sends none of them any more.
func (w *Way) ChangeAddress() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.addresses++
	return w.client.inside(func() error { return setAddress(w.addressLocked()) })
}

// Address is the client's present address.
func (w *Way) Address() netip.Addr {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.addressLocked()
}

func (w *Way) addressLocked() netip.Addr {
	return netip.AddrFrom4([4]byte{10, 1, byte(w.number), byte(1 + (w.addresses-1)%250)})
}

// Possible reports whether this process can have a network: it is root, and there is /dev/net/tun.
// A test that finds no network then is not skipped.
func Possible() bool {
	_, err := os.Stat("/dev/net/tun")
	return os.Geteuid() == 0 && err == nil
}
