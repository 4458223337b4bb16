// Package dashboard reads docs/operations/dashboard.json and docs/operations/alerts.yaml like
// Grafana and Prometheus, with their own code:
//
//	go -C interop/dashboard test ./...
//
// The dashboard must match Grafana's published types. That check uses TypeScript, with Node.js and
// npm, in the versions that the folder grafana pins. Prometheus' engine must answer the queries and
// alerts from the metrics of "eventhubs publish --metrics", both in good health and in trouble.
//
// TestPrometheus uses the programs of Debian's package prometheus. If they are missing, it unpacks
// the package below the user's cache directory, which needs apt-get and no root. A producer lives
// through each trouble in virtual time, and is scraped every 15 s of it. promtool evaluates the
// rules over what was scraped. Each alert fires in its trouble, after the time in its "for", and in
// no other. A server has the same series as blocks, and answers the queries of all panels. Another
// server scrapes a running command, whose metrics have the same names.
//
// The package is a module of its own because of its dependencies.
package dashboard
