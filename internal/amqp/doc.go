// Package amqp is an implementation of AMQP 1.0 (ISO/IEC 19464, OASIS "amqp-core-complete-v1.0")
// for both roles. The emulator uses it as the server, the producer as the client.
//
// # Codec
//
// Encoding appends: [AppendValue] for any Go value, AppendString and its siblings for one known
// type, [Message.AppendTo] for a message. Decoding reads from a slice: [ReadValue], [ParseMessage],
// [Sections]. The decoder never panics and bounds nesting. It allocates at most a small multiple of
// the input's length, whatever counts and sizes the input claims.
//
// # Engine
//
// [Server] and [Client] turn a net.Conn into a [Conn] by exchanging headers, SASL and open. A Conn
// has a [Session] for each begin, a Session has a [Link] for each attach. Calls block and end with
// their context.
//
// A client waits for as few answers as possible. It sends its SASL init with its header, and a
// begin with its open. A session takes attaches as soon as its begin has left. A link takes flows
// and deliveries when its attach is answered.
//
// A connection has two goroutines, a reader and a writer; sessions and links have none. One mutex,
// Conn.mu, guards the state of the connection, its sessions, links and deliveries. It is never held
// while blocking. Frames are appended to an outgoing buffer under that mutex, and the writer sends
// everything that has gathered with one Write. Calls that wait for a delivery, for credit or for an
// outcome wait on a channel.
//
// Deliveries wait in their link's queue. A link that may send stands in a line. The writer takes
// the first link's first delivery whole, then the next link's. Only then does the delivery take an
// id, a credit, and a place in the stream of bytes. Even without an outcome, that place shows
// whether the network has taken any of it.
//
// Memory is bounded against a misbehaving peer. The maximum frame size, the maximum message size,
// channel-max and handle-max are limits. Credit bounds the deliveries not yet received by the
// application. The queue of links not yet accepted is bounded, and so are the bytes of their
// attaches. A limit on the outgoing buffer makes Send wait and the reader stop reading. Of an
// answered attach, only the fields that the link needs are kept.
package amqp
