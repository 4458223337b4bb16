package emulator

import (
	"encoding/binary"
	"net"
	"strings"
)

// firstBytes is how many of a connection's first bytes show its protocol: an AMQP header has eight.
const firstBytes = 8

// httpMethods begin HTTP requests; the last one begins HTTP/2.
var httpMethods = []string{"GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "CONNECT ", "TRACE ", "PRI "}

// isHTTP reports whether a connection begins with an HTTP request. Head may be the beginning of a
// method's name.
func isHTTP(head []byte) bool {
	for _, method := range httpMethods {
		n := min(len(head), len(method))
		if n > 0 && string(head[:n]) == method[:n] {
			return true
		}
	}
	return false
}

// foreignProtocol names the protocol of a connection that is neither AMQP 1.0 nor HTTP. It is empty
// for AMQP 1.0. Head has firstBytes, or only the first one of TLS.
func foreignProtocol(head []byte) string {
	text := string(head)
	switch {
	case head[0] == firstOfTLS: // a proxy or a client adds TLS twice
		return "TLS in TLS"
	case strings.HasPrefix(text, "AMQP") && (text[4:] == "\x00\x01\x00\x00" || text[4:] == "\x02\x01\x00\x00" || text[4:] == "\x03\x01\x00\x00"):
		return ""
	case strings.HasPrefix(text, "AMQP\x00\x00\x09") || strings.HasPrefix(text, "AMQP\x01\x01"):
		return "AMQP 0-9-1, that of RabbitMQ's clients"
	case strings.HasPrefix(text, "AMQP"):
		return "another version of AMQP"
	case isKafka(head):
		return "Kafka"
	case head[0] == 0x10 && strings.Contains(text, "MQ"): // CONNECT, its length, and the name MQTT or MQIsdp
		return "MQTT"
	case strings.HasPrefix(text, "SSH-"):
		return "SSH"
	case strings.HasPrefix(text, "PROXY ") || text == "\r\n\r\n\x00\r\nQ":
		return "the PROXY protocol of a load balancer"
	default:
		return "no known protocol"
	}
}

// isKafka reports whether a connection begins as Kafka's requests do: with its size, an API key and
// that API's version, which are small numbers.
func isKafka(head []byte) bool {
	const maxSize, maxKey, maxVersion = 1 << 20, 100, 30
	size, key, version := binary.BigEndian.Uint32(head), binary.BigEndian.Uint16(head[4:]), binary.BigEndian.Uint16(head[6:])
	return size >= 8 && size < maxSize && key < maxKey && version < maxVersion
}

// noteForeign logs that a client speaks a protocol that this port does not take, and what to do. A
// misconfigured client connects again and again. So the server warns once for each protocol; the
// rest are debug lines.
func (s *Server) noteForeign(protocol, advice string, from net.Addr) {
	log := s.log.Debug
	if _, known := s.foreign.LoadOrStore(protocol, true); !known {
		log = s.log.Warn
	}
	log("a client speaks another protocol", "protocol", protocol, "client", from.String(), "advice", advice)
}
