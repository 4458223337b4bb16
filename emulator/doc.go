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
// Package emulatortest shortens the beginning to one line, package emulatordata keeps events in a file, package
// checkpointtest has a checkpoint store in memory, package emulatorhttp shows a page to look inside. The emulator is for one machine and holds all its events in memory:
// it is no replacement for the service, and it was never compared with the service side by side. docs/emulator.md in
// the repository has the details, and where it differs.
//
// # What it does
//
// Senders attach to a hub, to one of its partitions or to a publisher of it. Events with a partition key go to the
// partition that the service's hash chooses; batches with neither key nor partition go round. Single messages and
// batches (message format 0x80013700) are taken, up to [Options.MaxMessageSize]. Idempotent producers on a partition
// get an identity; what they send again is stored once, and older epochs are fenced ([Options.Idempotence]).
//
// Receivers start from an offset, a sequence number, a time, the beginning or the end. Those with an owner level
// (epoch) displace others, at most five have none, and whoever wants it gets runtime metrics.
//
// $management tells about hubs and partitions. $cbs takes every token, or verifies tokens and what they allow
// ([Options.Authentication]). Clients come over TCP, TLS, WebSocket or in memory, on the same port ([Options.Transports]).
//
// [Options.ThroughputUnits] throttle, a hub's [Retention] forgets, [Server.AddHub] and [Server.AddPartitions] let the
// namespace grow while clients use it.
//
// # What it does not do
//
// There are no Kafka and HTTP protocols, no Capture, schema registry, geo-replication, application groups and metrics,
// and nothing is replicated. Reading is never throttled.
//
// # Idle clients
//
// As with the service, a sender that sends nothing for 30 minutes is detached, a connection without an active link is closed
// after 5 minutes, and one that never had a link after 60 seconds, whatever keep-alive frames come. [Options.Idle] says otherwise.
//
// # Transports
//
// Each address of a server speaks AMQP over TCP and over TLS, and AMQP over WebSocket over HTTP and over HTTPS: the first
// bytes of a connection tell them apart. [Options.Transports] says which are allowed, so that a test can be sure of the one
// that it is about. [Server.ConnectionString] makes clients use plain TCP, [Server.TLSConnectionString] TLS. The server makes a
// certificate authority when a client first asks for TLS: Go clients trust it by [Server.TLSConfig], others by the file that
// [Server.CertificateAuthority] fills. A client that insists on a namespace's name and on port 5671 keeps both if it has an
// option for a custom endpoint, which is [Server.Addr]; see the example of [Server.Credential].
//
// # Authentication
//
// Unless [Options.Authentication] is set, every token and every password is good. With it, shared access signatures are verified as the
// service does, for named keys with rights; JWTs are judged by a function of the test's; tokens expire and take their links
// along; and a connection has 20 seconds to show its first one. [Server.SASConnectionString] and [Server.Credential] are
// what the code under test takes.
//
// # Bad clients
//
// A client cannot do harm beyond its own connection. Bounded are: the time until it has opened its connection (20 seconds) and its silence ([Options.IdleTimeout]), the
// connections ([Options.MaxConnections]), the sessions (5,000) and links (5,000) of each, frames (64 KiB), of which an open and
// an attach (16 KiB), delivery tags (32 bytes) and messages ([Options.MaxMessageSize]), and for each connection the bytes of messages whose end is missing
// (128 MiB) and of those that wait for their turn (256 MiB, then no further message is taken). What a client holds is given back when its socket ends: at once, or
// within 20 seconds if more waits to be read. An idle connection takes about 32 KiB.
//
// # Looking inside
//
// [Server.Events] yields what a partition holds, [Server.Newest] the same from its end, [Server.Counts] says how much came in,
// [Server.WaitForEvents] waits without polling until a number of events has arrived, [Server.Seed] puts events there before a test
// begins. [Server.Snapshot] tells of hubs, connections, consumer groups and faults; package emulatorhttp shows it on a page.
//
// # Faults
//
// A [Hook] sees each connection, attach, token, management call and transfer, and says what becomes of it: see
// [Action] and the examples. It can be replaced while the server runs. [RandomFaults] and [Latency] are ready-made hooks.
// [Server.CutAll] breaks all connections at once.
//
// # Virtual time
//
// With [Options.Addr] set to [InMemory] and clients connected through [Server.Dial], the server runs in a
// testing/synctest bubble: it starts no timer and no goroutine at package level and never polls. Azure's Go client
// takes Dial in its NewWebSocketConn option, which wants nothing but a net.Conn.
//
// # Goroutines
//
// One for each address accepts connections. Each connection has three (one that reads, one that writes, one that hands out its
// links) and with authentication a fourth, each link one. [Server.Close] ends them all and waits. Idle clients are told by timers,
// which end with their links and connections.
package emulator
