// Package memnet is a network in memory: buffered duplex connections with deadlines, and a listener
// to dial.
//
// It serves two kinds of test. Inside a testing/synctest bubble a goroutine that waits for a real
// socket is not durably blocked, so virtual time would never advance. Here every wait is on a
// condition variable or a channel that the test itself made; the package has no global state. The
// other kind of test breaks a connection as networks do: [Conn.Cut] fails both ends at once and
// loses bytes under way.
//
// Unlike net.Pipe a write does not wait for the reader: each direction buffers up to [BufferSize]
// bytes, as a socket does.
package memnet
