// Package emulator is an Azure Event Hubs emulator that runs inside a Go program: for tests, for
// experiments, and for development. It needs no account, no container and no fixed port. It speaks
// AMQP 1.0, so every official client can use it in place of the service. It works like
// net/http/httptest; a test needs a few lines:
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
// Package emulatortest shortens the beginning to one line. Package emulatordata keeps events in
// files. Package checkpointtest has a checkpoint store in memory. Package emulatorhttp serves a
// page for inspection. The emulator is for one machine and holds its events in memory, up to
// [Options.MaxMemory]. It does not replace the service, and it was never compared with the service
// side by side. See docs/emulator.md in the repository for details and differences.
//
// # What it does
//
// Senders attach to a hub, to one of its partitions or to a publisher of it. Events with a
// partition key go to the partition that the service's hash chooses. Batches with neither key nor
// partition go to the partitions in turn. Single messages and batches (message format 0x80013700)
// are accepted, up to [Options.MaxMessageSize]. Idempotent producers on a partition get an
// identity: a batch that is sent again is stored once, and older epochs are fenced
// ([Options.Idempotence]).
//
// Receivers start from an offset, a sequence number, a time, the beginning or the end. Receivers
// with an owner level (epoch) displace others. At most five receivers of a partition and consumer
// group may have none. Receivers get runtime metrics if they ask for them.
//
// The node $management describes hubs and partitions. The node $cbs accepts every token, or
// verifies tokens and their rights ([Options.Authentication]). Clients connect over TCP, TLS,
// WebSocket or in memory, on the same port ([Options.Transports]).
//
// [Options.ThroughputUnits] throttles senders. A hub's [Retention] and [Options.MaxMemory] drop old
// events. [Server.AddHub], [Server.AddPartitions], [Server.SetDisabled] and [Server.DeleteHub]
// change the namespace while clients use it.
//
// # What it does not do
//
// There are no Kafka and HTTP protocols, and no Capture, schema registry, geo-replication,
// application groups and metrics. Nothing is replicated. Reading is never throttled.
//
// # Idle clients
//
// The limits are the service's, whatever keep-alive frames come. A sender that sends nothing for 30
// minutes is detached. A connection without an active link is closed after 5 minutes, and one that
// never had a link after 60 seconds. [Options.Idle] changes the limits.
//
// # Transports
//
// Each address of a server speaks AMQP over TCP and over TLS, and AMQP over WebSocket over HTTP and
// over HTTPS. The first bytes of a connection decide. [Options.Transports] restricts the
// transports, so that a test is sure to use the intended one. [Server.ConnectionString] makes
// clients use plain TCP, [Server.TLSConnectionString] TLS. The server makes a certificate authority
// when a client first asks for TLS. Go clients trust it by [Server.TLSConfig], others by the file
// that [Server.CertificateAuthority] fills. Some clients require a namespace's name and port 5671.
// They can keep both if they have an option for a custom endpoint, which is [Server.Addr]; see the
// example of [Server.Credential].
//
// # Authentication
//
// Unless [Options.Authentication] is set, every token and every password is accepted. With it the
// server verifies shared access signatures as the service does, for named keys with rights. A
// function of the test judges JWTs. Tokens expire, and their links end with them. A connection has
// 20 seconds to show its first token. [Server.SASConnectionString] and [Server.Credential] provide
// credentials for the code under test.
//
// # Bad clients
//
// A client cannot do harm beyond its own connection. These are bounded:
//
//   - the time until a connection has opened: 20 seconds.
//   - a client's silence: [Options.IdleTimeout].
//   - the connections: [Options.MaxConnections], each with 5,000 sessions and 5,000 links.
//   - frames: 64 KiB; open and attach frames: 16 KiB; delivery tags: 128 bytes.
//   - messages: [Options.MaxMessageSize].
//   - unfinished messages of a connection: 128 MiB.
//   - waiting messages of a connection: 256 MiB; beyond it no message is accepted.
//
// The server frees a client's resources when its socket ends: at once, or within 20 seconds if more
// input is waiting. An idle connection takes about 32 KiB.
//
// # Looking inside
//
// [Server.Events] yields the events of a partition, [Server.Newest] the same from the end, and
// [Server.EventsFrom] those from an offset, a sequence number or a time. [Server.Counts] says how
// much was stored. [Server.WaitForEvents] waits, without polling, until a number of events has
// arrived. [Server.Seed] stores events before a test begins, and [Server.Append] one event at any
// time. [Server.Snapshot] describes hubs, connections, consumer groups and faults; package
// emulatorhttp shows it on a page.
//
// # Faults
//
// A [FaultRule] is a fault in one line, such as "throttle hub=orders share=10% for=30s". The command
// line, HTTP and [Server.AddFault] take the same rules.
//
// A [Hook] sees each connection, attach, token, management call, transfer and delivery, and decides
// what happens to it: see [Action] and the examples. It can be replaced while the server runs.
// [RandomFaults] and [Latency] are ready-made hooks. [Server.CutAll] breaks all connections at
// once.
//
// # Virtual time
//
// A server runs in a testing/synctest bubble if [Options.Addr] is [InMemory] and clients connect
// through [Server.Dial]. It starts no timer and no goroutine at package level, and never polls.
// Azure's Go client takes Dial in its NewWebSocketConn option, which needs only a net.Conn.
//
// # Goroutines
//
// Each address has one goroutine, which accepts connections. Each connection has three: one reads,
// one writes, and one hands out its links. With authentication it has a fourth. Each link has one.
// [Server.Close] ends all of them and waits. Timers watch for idle clients; they end with their
// links and connections.
package emulator
