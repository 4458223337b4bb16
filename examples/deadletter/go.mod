// A module of its own, so that the database is nobody else's dependency.
module github.com/go-eventhubs/eventhubs/examples/deadletter

go 1.26.0

require (
	github.com/go-eventhubs/eventhubs v0.0.0
	go.etcd.io/bbolt v1.5.0
)

require (
	github.com/Azure/azure-sdk-for-go/sdk/azcore v1.20.0 // indirect
	github.com/Azure/azure-sdk-for-go/sdk/internal v1.11.2 // indirect
	github.com/coder/websocket v1.8.15 // indirect
	golang.org/x/net v0.59.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.42.0 // indirect
)

replace github.com/go-eventhubs/eventhubs => ../..
