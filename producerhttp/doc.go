// Package producerhttp shows what producers do, beside net/http/pprof: a page for people, text for
// curl, JSON for programs.
//
//	mux.Handle("/debug/eventhubs/", producerhttp.New(producer, nil))
//
//	curl http://127.0.0.1:8080/debug/eventhubs/
//
// For each producer it shows the health and its last changes, the numbers of [eventhubs.Stats],
// each partition, the journal, and rates over the last minutes. Everything is read-only.
//
// # Requests
//
// The handler has one address, wherever it is mounted: it ignores the path. Methods are GET and
// HEAD; every other one has status 405. These are the parameters:
//
//	format=html|text|json   the form of the answer. Without it, the Accept header decides, then text
//	producer=NAME           only that producer. Without it, all of them, by name
//
// A browser gets the page, which refreshes every 2 s while it is visible. The page is
// self-contained: it loads nothing from other hosts. It works without scripts, too, and then does
// not refresh. A wrong parameter has status 400, an unknown producer 404. The text of the answer
// says what to do, in JSON as {"error": "…"}.
//
// # JSON
//
// The answer is {"time": T, "producers": […]}. Times are RFC 3339, sizes are bytes, spans of time
// are seconds. A producer has these fields:
//
//   - name, fullyQualifiedNamespace, eventHub and identifier
//   - closed: Close or Abandon was called
//   - health: as [eventhubs.Health] in JSON
//   - stats: as [eventhubs.Stats] in JSON, with its partitions and, if there is one, its journal
//   - changes: as [eventhubs.HealthChange] in JSON, the oldest first
//   - rates: at most three, over the last minute, 5 and 15 minutes
//
// A rate has seconds, the time that it covers. It has these numbers per second: acceptedEvents,
// storedEvents, storedBytes, storedBatches, notStoredEvents, possiblyStoredEvents, retries and
// throttledTries.
//
// Later versions may add fields. The text and the page are for people, and may change.
//
// # Rates
//
// A producer keeps its totals of the last 15 minutes once it is shown by a handler. It keeps them
// when a batch ends or a try fails, at most every 5 s. So there is no goroutine, no timer, and no
// cost for Enqueue. Before 15 minutes have passed, the last rate covers the time since New or Add.
// In the first second there are no rates. Rates are exact to about 5 s of their time.
// acceptedEvents follows from the buffered events and the outcomes. While no batch ends and the
// handler is not asked, accepted events count evenly over that time.
//
// # Access
//
// The answers contain no key, no token, no event and no partition key. They do contain names of
// hosts and hubs, and texts of errors: also those of your credential and your dialer. Show them
// only to readers of pprof. There is no password: wrap the handler, or listen on an address of your
// own.
//
// The Host of a request must be an IP address, localhost or a name in [Options]. Any other name can
// be made to point here by a page that a browser has loaded (DNS rebinding). Pages of other sites
// get no access through a browser, since there is no CORS. A link to the page works.
package producerhttp
