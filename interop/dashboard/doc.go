// Package dashboard reads docs/operations/dashboard.json and docs/operations/alerts.yaml as Grafana and Prometheus do, with their own code:
//
//	go -C interop/dashboard test ./...
//
// The dashboard must be what Grafana's published types allow (TypeScript, with Node.js and npm, in the versions that the folder grafana pins), and
// Prometheus' engine must answer its queries, and the alerts', from what "eventhubs publish --metrics" shows, both when all is well and when it is
// not. It is a module of its own for the sake of what it depends on.
package dashboard
