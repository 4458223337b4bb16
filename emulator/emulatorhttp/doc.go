// Package emulatorhttp shows the contents of an emulator: a page for a browser, and its JSON for
// programs.
//
//	server, err := emulator.New(nil)
//	…
//	http.ListenAndServe("127.0.0.1:8080", emulatorhttp.New(server, nil))
//
// The page is self-contained: it loads nothing from other hosts. It shows hubs, how their
// partitions fill, and the newest events with key, properties and body. It also shows consumer
// groups and their backlog, connections, and the faults of a hook or of the throughput units. It
// refreshes every second while it is visible.
//
// # JSON
//
// All answers are to GET and change nothing. Times are RFC 3339 in UTC; sizes are bytes.
//
//	/api/snapshot                                     the result of [emulator.Server.Snapshot]
//	/api/events?hub=H&partition=P&q=TEXT&limit=N      the newest events, newest first. All but hub may be left out
//	/api/event?hub=H&partition=P&sequence=N           one event
//	/api/body?hub=H&partition=P&sequence=N            its body, byte for byte
//
// These are the fields:
//
//   - A snapshot has time, started, address, throughputUnits (0: no bounds), inForce, hubs, faults,
//     connections (the newest 200) and connectionCount.
//   - A hub has name, created, disabled, retention, consumerGroups and partitions.
//   - A partition has id, events, batches and bytes (ever stored), heldEvents and heldBytes (now
//     held), first, last, enqueued and readers.
//   - A reader has group, next, behind and receivers.
//   - A connection has number, remote, opened, transport, client, senders, receivers, events, links
//     (the oldest 50) and linkCount.
//   - A fault has kind, hub, what, count and last.
//
// The answer to /api/events is {"events": […], "searched": N, "all": BOOL}. An event has partition,
// sequence, offset, enqueued, key (null if it has none), messageId, contentType, properties,
// annotations, bytes and body. Properties and annotations each have name, type and value as text. A
// body has kind ("text", "json", "binary" or "value"), bytes, text and truncated. Later versions
// may add fields.
//
// A search ignores case. It looks for TEXT in keys, properties, content types, message ids and the
// first 64 KiB of bodies. It covers the newest 20,000 events or 64 MiB, whichever is less, and
// reports how far it came. A missing resource has status 404 and {"error": "…"}, an invalid request
// 400.
//
// # Access
//
// Every client that reaches the address sees every event; there is no password. So the address
// should be on loopback. Pages of other sites get no access through a browser, since there is no
// CORS. The Host of a request must be an IP address, localhost or a name in [Options]. Any other
// name can be made to point here (DNS rebinding). The answers contain no keys and tokens.
package emulatorhttp
