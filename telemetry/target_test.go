package telemetry

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs"
)

func TestTheNamespaceIsToldAsAddressAndPort(t *testing.T) {
	for namespace, want := range map[string]string{
		"name.servicebus.windows.net": "messaging.system=eventhubs,messaging.destination.name=hub,server.address=name.servicebus.windows.net",
		"127.0.0.1:5672":              "messaging.system=eventhubs,messaging.destination.name=hub,server.address=127.0.0.1,server.port=5672",
		"[::1]:5672":                  "messaging.system=eventhubs,messaging.destination.name=hub,server.address=::1,server.port=5672",
	} {
		producer, err := eventhubs.NewBufferedProducerFromConnectionString("Endpoint=sb://"+namespace+";SharedAccessKeyName=n;SharedAccessKey=k", "hub", nil)
		if err != nil {
			t.Fatal(err)
		}
		var parts []string
		for _, a := range destination(producer) {
			parts = append(parts, fmt.Sprintf("%s=%s", a.Key, a.Value.String()))
		}
		if got := strings.Join(parts, ","); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if err := producer.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
