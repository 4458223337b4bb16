package network

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// newPacket is a packet with right checksums.
func newPacket(from, to netip.AddrPort, flags byte, data []byte) packet {
	p := make(packet, ipHeader+tcpHeader+len(data))
	p[0], p[8], p[9] = 4<<4|ipHeader/4, 64, protoTCP
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	p.tcp()[12], p.tcp()[13] = tcpHeader/4<<4, flags
	copy(p.tcp()[tcpHeader:], data)
	for _, a := range []struct {
		at, port int
		is       netip.AddrPort
	}{{12, 0, from}, {16, 2, to}} {
		address := a.is.Addr().As4()
		copy(p[a.at:], address[:])
		binary.BigEndian.PutUint16(p.tcp()[a.port:], a.is.Port())
	}
	p.writeChecksums()
	return p
}

var (
	inner  = netip.MustParseAddrPort("10.1.0.1:4711")
	outer  = netip.MustParseAddrPort("10.3.0.1:20000")
	server = netip.MustParseAddrPort("10.2.0.1:5672")
)

// right checks a packet's checksums against all of its bytes.
func right(t *testing.T, p packet) {
	t.Helper()
	ip, tcp := p.checksums()
	if got := binary.BigEndian.Uint16(p[10:]); got != ip {
		t.Errorf("the IP header's checksum is %#x, want %#x", got, ip)
	}
	if got := binary.BigEndian.Uint16(p.tcp()[16:]); got != tcp {
		t.Errorf("the TCP checksum is %#x, want %#x", got, tcp)
	}
}

// TestChecksumOfAKnownPacket pins the checksum itself, by an IP header that RFC texts and books
// use.
func TestChecksumOfAKnownPacket(t *testing.T) {
	p := append(packet{0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7}, make([]byte, tcpHeader)...)
	if ip, _ := p.checksums(); ip != 0xb861 {
		t.Errorf("got %#x, want 0xb861", ip)
	}
}

func TestTranslationMendsChecksums(t *testing.T) {
	const seed = 1
	random := rand.New(rand.NewPCG(seed, 0))
	address := func() netip.AddrPort {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], random.Uint32())
		return netip.AddrPortFrom(netip.AddrFrom4(a), uint16(random.Uint32()))
	}
	for range 2000 {
		data := make([]byte, random.IntN(30))
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		from, to, p := address(), address(), newPacket(address(), address(), flagACK, data)
		p.setSource(from)
		p.setDestination(to)
		if p.source() != from || p.destination() != to {
			t.Fatalf("seed %d: the packet goes from %v to %v, want %v and %v", seed, p.source(), p.destination(), from, to)
		}
		right(t, p)
		if !bytes.Equal(p.tcp()[tcpHeader:], data) {
			t.Fatalf("seed %d: the data changed", seed)
		}
	}
}

func TestAWrongChecksumStaysWrong(t *testing.T) {
	p := newPacket(inner, server, flagACK, []byte("data"))
	p[len(p)-1]++
	p.setSource(outer)
	if _, tcp := p.checksums(); tcp == binary.BigEndian.Uint16(p.tcp()[16:]) {
		t.Error("translation made the checksum of changed data right")
	}
}

func TestResetAnswersASegment(t *testing.T) {
	p := newPacket(inner, server, flagACK, []byte("data"))
	binary.BigEndian.PutUint32(p.tcp()[8:], 77)
	r := p.reset()
	right(t, r)
	if r.source() != server || r.destination() != inner || r.flags() != flagRST {
		t.Errorf("got %v to %v with flags %#x, want the way back with RST", r.source(), r.destination(), r.flags())
	}
	if got := binary.BigEndian.Uint32(r.tcp()[4:]); got != 77 {
		t.Errorf("its sequence number is %d, want what the segment acknowledged, 77", got)
	}
	s := newPacket(inner, server, flagSYN, nil)
	binary.BigEndian.PutUint32(s.tcp()[4:], 5)
	if r := s.reset(); r.flags() != flagRST|flagACK || binary.BigEndian.Uint32(r.tcp()[8:]) != 6 {
		t.Errorf("a SYN of number 5 got flags %#x and acknowledgement %d, want RST and ACK of 6", r.flags(), binary.BigEndian.Uint32(r.tcp()[8:]))
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(newPacket(inner, server, flagSYN, []byte("data"))))
	f.Add([]byte{0x4f, 0, 0, 20})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, ok := parse(bytes.Clone(b))
		if !ok {
			return
		}
		p.writeChecksums()
		p.setSource(outer)
		p.setDestination(inner)
		right(t, p)
		right(t, p.reset())
	})
}
