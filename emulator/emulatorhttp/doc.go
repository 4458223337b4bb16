// Package emulatorhttp shows and controls an emulator: a page for a browser, and JSON for programs.
//
//	server, err := emulator.New(nil)
//	…
//	http.ListenAndServe("127.0.0.1:8080", emulatorhttp.New(server, nil))
//
// The page is self-contained: it loads nothing from other hosts. It shows hubs, and how their
// partitions fill. It lists the newest events with key, properties and body, or those from a
// sequence number, an offset or a time. It also shows consumer groups and their backlog over time,
// connections, and the faults of rules, of a hook and of the throughput units. It sends an event,
// sets and clears faults, and downloads the listed events. It refreshes every second while it is
// visible. A chart begins when the page was opened, and has a gap where the page did not look.
//
// # JSON
//
// Requests with GET change nothing. Times are RFC 3339 in UTC; sizes are bytes.
//
//	/api/snapshot                                     the result of [emulator.Server.Snapshot]
//	/api/events?hub=H&partition=P&from=START&q=TEXT&limit=N
//	                                                  events. All but hub may be left out
//	/api/records?hub=H&partition=P&from=START&q=TEXT&limit=N
//	                                                  the same events, whole, as a file of JSON lines
//	/api/records?hub=H&events=P:N,P:N                 events by partition and sequence number, at most 500
//	/api/event?hub=H&partition=P&sequence=N           one event
//	/api/body?hub=H&partition=P&sequence=N            its body, byte for byte
//	/api/faults                                       the faults that rules have set
//	/api/hubs, /api/hubs/NAME                         hubs in short, or one of them
//
// Other requests change the server, unless [Options.ReadOnly] is set:
//
//	POST /api/events          {"hub": "…", "partition": "0", "body": "…", "properties": {"n": 7}}: sends an event
//	POST /api/faults          {"rule": "…"}: sets a fault; see [emulator.FaultRule]
//	DELETE /api/faults[/ID]   removes one fault, or all
//	POST /api/hubs            {"name": "…", "partitions": N, "consumerGroups": ["…"], "disabled": BOOL}: creates a hub
//	PATCH /api/hubs/NAME      {"partitions": N, "disabled": BOOL}: adds partitions up to N; disables or enables the hub
//	DELETE /api/hubs/NAME     deletes a hub with its events
//
// Their bodies are JSON objects with the content type application/json, of at most 64 KiB, for an
// event 8 MiB. An unknown field is refused. POST answers with 201 and the new event, fault or hub,
// PATCH and DELETE with 200. An answer with another status has {"error": "…"}. If one field is
// wrong, it also has "field", and maybe "value". For a rule that is the field of the rule.
//
// The fields of a sent event are hub, partition or key, body (text) or bodyBase64, properties,
// messageId and contentType. All but hub may be left out. Without partition and key the partitions
// take turns. A property is a string, a boolean, null or a number: without fraction and exponent an
// AMQP long, otherwise a double. The event is stored at once, as by [emulator.Server.Append].
// Faults and throughput units do not affect it. A disabled hub refuses it with status 409.
//
// These are the fields:
//
//   - A snapshot has time, started, address, throughputUnits (0: no bounds), inForce, durable
//     (events survive the server), discard (none is kept), maxMemory (negative: no bound), hubs,
//     faults (what happened so far), rules (the faults that are set), readOnly, connections (the
//     newest 200) and connectionCount.
//   - A hub has name, created, disabled, retention, consumerGroups and partitions.
//   - A partition has id, events, batches and bytes (ever stored), heldEvents and heldBytes (now
//     held), first, last, enqueued and readers.
//   - A reader has group, next, behind and receivers.
//   - A connection has number, remote, opened, transport, client, senders, receivers, events, links
//     (the oldest 50) and linkCount.
//   - A fault in faults of a snapshot has kind, hub, what, count and last.
//   - A fault that a rule has set has id, rule, matched, hits, remaining (null without a count),
//     begins, ends (null for never) and over.
//   - A hub of /api/hubs has name, created, disabled, partitions (their number), consumerGroups and
//     events (ever stored).
//
// START is newest (the default, newest first), start, sequence:N, offset:N, a time in RFC 3339, or
// a time before now such as -15m. From a start the events come oldest first. A sequence number and
// an offset need a partition. An event that is gone, or not there yet, is no error.
//
// The answer to /api/events is {"events": […], "searched": N, "all": BOOL}. An event has partition,
// sequence, offset, enqueued, key (null if it has none), messageId, contentType, properties,
// annotations, bytes and body. Properties and annotations each have name, type (of AMQP, for
// example long) and value as text. A body has kind ("text", "json", "binary" or "value"), bytes,
// text and truncated. Later versions may add fields.
//
// A line of /api/records is a record as "eventhubs tail --output json" prints it, and "eventhubs
// publish --format events" takes it. Events named by number that are gone are left out.
//
// A search ignores case. It looks for TEXT in keys, properties, content types, message ids and the
// first 64 KiB of bodies. It covers the first 20,000 events or 64 MiB, whichever is less, and
// reports how far it came. A missing resource has status 404 and {"error": "…"}, an invalid request
// 400.
//
// # Access
//
// Every client that reaches the address sees every event and may change the server; there is no
// password. So the address should be on loopback. Pages of other sites get no access through a
// browser, since there is no CORS. A request that changes something must not come from a page of
// another origin, not even of another port of this machine (Sec-Fetch-Site, Origin). The Host of a
// request must be an IP address, localhost or a name in [Options]. Any other name can be made to
// point here (DNS rebinding). The answers contain no keys and tokens.
package emulatorhttp
