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
//	/api/snapshot                                     what [emulator.Server.Snapshot] tells; see [Snapshot]
//	/api/events?hub=H&partition=P&q=TEXT&limit=N      the newest events, newest first; see [Events]. All but hub may be left out
//	/api/event?hub=H&partition=P&sequence=N           one event; see [Event]
//	/api/body?hub=H&partition=P&sequence=N            its body, byte for byte
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
