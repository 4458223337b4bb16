package websocketconn_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"net/http"
	"net/url"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/websocketconn"
)

// One line sends a producer's traffic through port 443, and through the environment's proxy.
func Example() {
	server, err := emulator.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	producer, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("events"), "", &eventhubs.Options{
		Connection: eventhubs.ConnectionOptions{NewWebSocketConn: websocketconn.Dial},
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	if err := producer.Enqueue(ctx, &eventhubs.Event{Body: []byte("hello")}); err != nil {
		log.Fatal(err)
	}
	if err := producer.Close(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(server.Counts("events", "").Events, "event is stored")
	// Output: 1 event is stored
}

// A Dialer can use a proxy of your choice, and trust the certificates that it signs.
func ExampleDialer() {
	var roots *x509.CertPool // with the proxy's certificate authority
	dialer := &websocketconn.Dialer{
		TLSConfig: &tls.Config{RootCAs: roots},
		Proxy: func(*http.Request) (*url.URL, error) {
			return url.Parse("http://proxy.example:8080")
		},
	}
	_ = eventhubs.ConnectionOptions{NewWebSocketConn: dialer.Dial}
}
