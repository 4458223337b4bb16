// Package emulator is an Azure Event Hubs that runs inside a Go program: for tests, for trying things out, and as
// something to develop against without an account, a container or a fixed port. It speaks AMQP 1.0, so any official
// client takes it for the service. In the manner of net/http/httptest, a test needs a few lines:
//
//	server, err := emulator.New(nil) // one hub, "events", with 4 partitions, on a free loopback port
//	if err != nil {
//		t.Fatal(err)
//	}
//	defer server.Close()
//
//	sendGreeting(t.Context(), server.ConnectionString("events")) // the code under test
//
//	if err := server.WaitForEvents(t.Context(), "events", 1); err != nil {
//		t.Fatal(err)
//	}
//
// Package emulatortest shortens the beginning to one line. It is for one machine and keeps events in memory, all of
// them, until it is closed: it is no replacement for the service, and it was never compared with the service side by side.
//
// # What it does
//
// Senders attach to a hub, to one of its partitions or to a publisher of it. Events with a partition key go to the
// partition that the service's hash chooses; batches with neither key nor partition go round. Single messages and
// batches (message format 0x80013700) are taken, up to [Options.MaxMessageSize]. Receivers start from an offset,
// a sequence number, a time, the beginning or the end. $management tells about hubs and partitions. $cbs understands
// every request to put a token and accepts every token.
//
// # What it does not do
//
// There is no TLS, no AMQP over WebSocket, no check of tokens, no owner level (epoch) of receivers, no idempotent
// publishing, no throttling and no retention yet.
//
// # Looking inside
//
// [Server.Events] yields what a partition holds, [Server.Counts] says how much, [Server.WaitForEvents] waits without
// polling until a number of events has arrived.
//
// # Faults
//
// A [Hook] sees each connection, attach, token, management call and transfer, and says what becomes of it: see
// [Action] and the examples. It can be replaced while the server runs.
//
// # Virtual time
//
// With [Options.Addr] set to [InMemory] and clients connected through [Server.Dial], the server runs in a
// testing/synctest bubble: it starts no timer and no goroutine at package level and never polls. Azure's Go client
// takes Dial in its NewWebSocketConn option, which wants nothing but a net.Conn.
//
// # Goroutines
//
// One accepts connections. Each connection has three (one that reads, one that writes, one that hands out its links),
// each link one. [Server.Close] ends them all and waits.
package emulator
