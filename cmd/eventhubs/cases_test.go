package main

import (
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// The link tells its limit: 20 MB on dedicated clusters, and on the emulator what it is told.
func TestAFileOf5MBIsPublishedWhereTheHubTakesIt(t *testing.T) {
	server, err := emulator.New(&emulator.Options{MaxMessageSize: 20 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("events")}}
	for _, format := range []string{"file", "lines"} {
		p.run(t, "publish", "--format", format, writeFile(t, strings.Repeat("x", 5_000_000))).want(t, exitOK)
	}
}
