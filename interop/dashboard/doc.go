// Package dashboard reads docs/operations/dashboard.json and docs/operations/alerts.yaml like
// Grafana and Prometheus, with their own code:
//
//	go -C interop/dashboard test ./...
//
// The dashboard must match Grafana's published types. That check uses TypeScript, with Node.js and
// npm, in the versions that the folder grafana pins. Prometheus' engine must answer the queries and
// alerts from the metrics of "eventhubs publish --metrics", both in good health and in trouble. The
// package is a module of its own because of its dependencies.
package dashboard
