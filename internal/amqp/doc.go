// Package amqp is an implementation of AMQP 1.0 (ISO/IEC 19464, OASIS "amqp-core-complete-v1.0") that takes no side: a peer
// is a peer. The emulator uses it as the server, the producer as the client.
//
// # Codec
//
// Encoding appends: [AppendValue] for any Go value, AppendString and its siblings for one known type, [Message.AppendTo]
// for a message. Decoding reads from a slice: [ReadValue], [ParseMessage], [Sections]. The decoder never panics, bounds
// nesting, and allocates no more than a small multiple of the input's length, whatever counts and sizes the input claims.
//
// # Engine
//
// [Server] and [Client] turn a net.Conn into a [Conn] by the header, SASL and open exchange. A Conn has a [Session] for each
// begin, a Session has a [Link] for each attach. Calls block and end with their context.
//
// A client waits for no more answers than it must. It sends its SASL init with its header, and a begin with its open. A session takes attaches as soon as its
// begin has left. A link takes flows and deliveries when its attach is answered.
//
// A connection has two goroutines, one that reads and one that writes; sessions and links have none. One mutex, Conn.mu,
// guards the state of the connection, its sessions, its links and their deliveries; it is never held while blocking. Frames are appended to an
// outgoing buffer under that mutex, and the writer sends what has gathered with one Write. Whoever waits (for a delivery, for
// credit, for an outcome) waits on a channel.
//
// Deliveries wait at their link. A link that may send stands in line, and the writer takes the first delivery of the first link, whole, and then of the
// next: only then has it an id, a credit less, and a place in the stream of bytes. By that place it is known, when its outcome is not, whether the network has
// taken anything of it.
//
// Memory is bounded against a peer that misbehaves: by the maximum frame size, maximum message size, channel-max, handle-max,
// the credit granted (deliveries nobody has received yet), the queue of links nobody has accepted yet and the bytes of their attaches, and the limit on the
// outgoing buffer, past which Send waits and the reader stops reading. Of an attach that is answered only what the link needs is kept.
package amqp
