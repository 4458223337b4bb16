package network

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

const (
	deviceName = "torture0"
	mtu        = 1500
	// queueLength is in packets. The kernel drops what the router does not read in time, so it is
	// more than any window of TCP's.
	queueLength = 50_000
)

// openTUN makes a TUN device in a namespace, with an address. All of 10.0.0.0/8 is reached by it.
func openTUN(n *namespace, address netip.Addr) (device *os.File, err error) {
	err = n.inside(func() error {
		// The device is of the namespace in which the file is opened.
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("/dev/net/tun: %w", err)
		}
		if err := setUp(fd, address); err != nil {
			return errors.Join(err, unix.Close(fd))
		}
		device = os.NewFile(uintptr(fd), "tun")
		return nil
	})
	return device, err
}

// setUp makes the file a device of the thread's namespace.
func setUp(fd int, address netip.Addr) error {
	r, err := unix.NewIfreq(deviceName)
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, r); err != nil {
		return fmt.Errorf("a TUN device: %w", err)
	}
	return errors.Join(
		configure("lo", unix.SIOCSIFFLAGS, up),
		configure(deviceName, unix.SIOCSIFMTU, func(r *unix.Ifreq) error { r.SetUint32(mtu); return nil }),
		configure(deviceName, unix.SIOCSIFTXQLEN, func(r *unix.Ifreq) error { r.SetUint32(queueLength); return nil }),
		setAddress(address),
	)
}

func up(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil }

// setAddress gives the device of the thread's namespace an address, instead of the one it had.
func setAddress(address netip.Addr) error {
	inet4 := func(a [4]byte) func(*unix.Ifreq) error {
		return func(r *unix.Ifreq) error { return r.SetInet4Addr(a[:]) }
	}
	return errors.Join(
		configure(deviceName, unix.SIOCSIFADDR, inet4(address.As4())),
		configure(deviceName, unix.SIOCSIFNETMASK, inet4([4]byte{255})),
		configure(deviceName, unix.SIOCSIFFLAGS, up),
	)
}

// configure makes one request about a device of the thread's namespace.
func configure(device string, request uint, fill func(*unix.Ifreq) error) error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(socket) }()
	r, err := unix.NewIfreq(device)
	if err != nil {
		return err
	}
	if err := fill(r); err != nil {
		return err
	}
	if err := unix.IoctlIfreq(socket, request, r); err != nil {
		return fmt.Errorf("device %s, request %#x: %w", device, request, err)
	}
	return nil
}
