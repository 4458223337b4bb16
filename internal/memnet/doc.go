// Package memnet is a network in memory: buffered duplex connections with
// deadlines, and a listener to dial.
//
// It exists for two kinds of test. Inside a testing/synctest bubble a goroutine
// that waits for a real socket is not durably blocked, so virtual time would
// never advance; here every wait is on a condition variable or a channel made by
// the test itself, and the package has no state of its own. And a test can break
// a connection as networks do: [Conn.Cut] fails both ends at once and loses what
// was under way.
//
// Unlike net.Pipe a write does not wait for the reader: up to [BufferSize] bytes
// travel ahead of it in each direction, as with a socket.
package memnet
