// Package emulatorhttp shows what is inside an emulator: a page for a browser, and the JSON behind it for programs.
//
//	server, err := emulator.New(nil)
//	…
//	http.ListenAndServe("127.0.0.1:8080", emulatorhttp.New(server, nil))
//
// The page has everything with it: it asks no other host for anything. It shows hubs and how their partitions fill, the newest
// events with key, properties and body, consumer groups and how far behind they are, connections, and the faults that a hook or the
// throughput units bring about. It looks again every second while it can be seen.
//
// # JSON
//
// All answers are to GET and change nothing. Times are RFC 3339 in UTC; sizes are bytes.
//
//	/api/snapshot                                     what [emulator.Server.Snapshot] tells
//	/api/events?hub=H&partition=P&q=TEXT&limit=N      the newest events, newest first. All but hub may be left out
//	/api/event?hub=H&partition=P&sequence=N           one event
//	/api/body?hub=H&partition=P&sequence=N            its body, byte for byte
//
// A snapshot has time, started, address, throughputUnits (0: no bounds), inForce, hubs, faults, connections (the newest 200) and connectionCount. A hub has name, created,
// disabled, retention, consumerGroups and partitions; a partition id, events, batches and bytes that were ever stored, heldEvents and heldBytes that are there, first, last, enqueued and readers;
// a reader group, next, behind and receivers. A connection has number, remote, opened, transport, client, senders, receivers, events, links (the oldest 50) and linkCount; a fault kind, hub,
// what, count and last.
//
// Events come as {"events": […], "searched": N, "all": BOOL}. An event has partition, sequence, offset, enqueued, key (null if it has none), messageId, contentType, properties and annotations
// (each with name, type and value as text), bytes, and body, with kind ("text", "json", "binary" or "value"), bytes, text and truncated. Fields may be added.
//
// A search looks for TEXT, whatever its case, in keys, properties, content types, message ids and the first 64 KiB of bodies of the newest
// 20,000 events or 64 MiB, whichever is less, and says how far it came. What cannot be found has status 404 and {"error": "…"}, what
// cannot be understood 400.
//
// # Who may look
//
// Whoever reaches the address sees every event; there is no password. So it belongs on loopback. No other site's page gets at it through a
// browser: there is no CORS, and a request whose Host is neither an IP address nor localhost is refused (unless [Options] name
// it), since a name can be made to point here (DNS rebinding). Keys and tokens are nowhere in it.
package emulatorhttp
