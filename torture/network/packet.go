package network

import (
	"encoding/binary"
	"net/netip"
)

// A packet is a TCP segment in an IPv4 packet. Nothing else passes.
type packet []byte

const (
	ipHeader  = 20 // bytes, without options
	tcpHeader = 20
	protoTCP  = 6

	flagFIN = 1 << 0
	flagSYN = 1 << 1
	flagRST = 1 << 2
	flagACK = 1 << 4
)

// parse checks that the headers are there.
func parse(b []byte) (packet, bool) {
	if len(b) < ipHeader || b[0]>>4 != 4 || b[9] != protoTCP {
		return nil, false
	}
	size := int(b[0]&15) * 4
	if size < ipHeader || len(b) < size+tcpHeader || binary.BigEndian.Uint16(b[2:]) != uint16(len(b)) {
		return nil, false
	}
	if fragment := binary.BigEndian.Uint16(b[6:]); fragment&0x3fff != 0 {
		return nil, false // the kernel's TCP makes none
	}
	return packet(b), true
}

func (p packet) tcp() []byte { return p[int(p[0]&15)*4:] }
func (p packet) flags() byte { return p.tcp()[13] }

func (p packet) source() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(p[12:16])), binary.BigEndian.Uint16(p.tcp()))
}

func (p packet) destination() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(p[16:20])), binary.BigEndian.Uint16(p.tcp()[2:]))
}

func (p packet) setSource(a netip.AddrPort)      { p.set(12, 0, a) }
func (p packet) setDestination(a netip.AddrPort) { p.set(16, 2, a) }

// set writes an address and a port, and mends both checksums by what has changed (RFC 1624). A
// checksum that was wrong stays wrong.
func (p packet) set(address, port int, a netip.AddrPort) {
	t := p.tcp()
	to := a.Addr().As4()
	ip, tcp := binary.BigEndian.Uint16(p[10:]), binary.BigEndian.Uint16(t[16:])
	for i := 0; i < 4; i += 2 {
		from, now := binary.BigEndian.Uint16(p[address+i:]), binary.BigEndian.Uint16(to[i:])
		ip, tcp = mend(ip, from, now), mend(tcp, from, now)
	}
	tcp = mend(tcp, binary.BigEndian.Uint16(t[port:]), a.Port())
	copy(p[address:], to[:])
	binary.BigEndian.PutUint16(t[port:], a.Port())
	binary.BigEndian.PutUint16(p[10:], ip)
	binary.BigEndian.PutUint16(t[16:], tcp)
}

// mend is a checksum after one of its words has changed.
func mend(checksum, from, to uint16) uint16 {
	return ^fold(uint32(^checksum) + uint32(^from) + uint32(to))
}

func fold(sum uint32) uint16 {
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}

// sum adds words as the Internet checksum does.
func sum(start uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		start += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		start += uint32(b[0]) << 8
	}
	return start
}

// checksums are what both checksums should be.
func (p packet) checksums() (ip, tcp uint16) {
	head, t := p[:int(p[0]&15)*4], p.tcp()
	ip = ^fold(sum(sum(0, head[:10]), head[12:]))
	pseudo := sum(protoTCP+uint32(len(t)), p[12:20])
	tcp = ^fold(sum(sum(pseudo, t[:16]), t[18:]))
	return ip, tcp
}

// writeChecksums sets both checksums.
func (p packet) writeChecksums() {
	ip, tcp := p.checksums()
	binary.BigEndian.PutUint16(p[10:], ip)
	binary.BigEndian.PutUint16(p.tcp()[16:], tcp)
}

// reset is the RST that answers a packet, as RFC 9293, 3.10.7.1 has it for a connection that does
// not exist.
func (p packet) reset() packet {
	r := make(packet, ipHeader+tcpHeader)
	r[0], r[8], r[9] = 4<<4|ipHeader/4, 64, protoTCP
	binary.BigEndian.PutUint16(r[2:], uint16(len(r)))
	copy(r[12:16], p[16:20])
	copy(r[16:20], p[12:16])
	from, to := p.tcp(), r.tcp()
	copy(to[0:2], from[2:4])
	copy(to[2:4], from[0:2])
	to[12] = tcpHeader / 4 << 4
	if p.flags()&flagACK != 0 {
		copy(to[4:8], from[8:12])
		to[13] = flagRST
	} else {
		size := uint32(len(from) - int(from[12]>>4)*4)
		if p.flags()&(flagSYN|flagFIN) != 0 {
			size++
		}
		binary.BigEndian.PutUint32(to[8:], binary.BigEndian.Uint32(from[4:])+size)
		to[13] = flagRST | flagACK
	}
	r.writeChecksums()
	return r
}
