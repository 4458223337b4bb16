package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/coder/websocket"
)

// A route is a way to the emulator.
type route struct {
	connectionString string
	endpoint         string // if different from the connection string's
	tls              *tls.Config
	webSocket        func(context.Context, azeventhubs.WebSocketConnParams) (net.Conn, error)
	retries          int32
}

func plain() route {
	return route{connectionString: os.Getenv("INTEROP_CONNECTION_STRING"), retries: 4}
}

// overTLS returns a route like the service's: TLS, and a namespace that only the endpoint can find.
func overTLS() (route, error) {
	pem, err := os.ReadFile(os.Getenv("INTEROP_CA_FILE"))
	if err != nil {
		return route{}, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return route{}, errors.New("INTEROP_CA_FILE holds no certificate")
	}
	return route{
		connectionString: os.Getenv("INTEROP_SERVICE_CONNECTION_STRING"),
		endpoint:         os.Getenv("INTEROP_TLS_ADDRESS"),
		tls:              &tls.Config{RootCAs: roots},
		retries:          4,
	}, nil
}

// overWebSocket returns the same through a WebSocket. The application opens it, with TLS and the
// address.
func overWebSocket() (route, error) {
	r, err := overTLS()
	config := r.tls
	dialer := &net.Dialer{}
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: config,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, os.Getenv("INTEROP_WEBSOCKET_ADDRESS"))
		},
	}}
	r.endpoint, r.tls = "", nil
	r.webSocket = func(ctx context.Context, params azeventhubs.WebSocketConnParams) (net.Conn, error) {
		conn, _, err := websocket.Dial(ctx, params.Host, &websocket.DialOptions{
			Subprotocols: []string{"AMQPWSB10"},
			HTTPClient:   client,
		})
		if err != nil {
			return nil, err
		}
		conn.SetReadLimit(-1)
		return websocket.NetConn(context.Background(), conn, websocket.MessageBinary), nil
	}
	return r, err
}

func (r route) retryOptions() azeventhubs.RetryOptions {
	if r.retries == 0 {
		return azeventhubs.RetryOptions{MaxRetries: -1}
	}
	return azeventhubs.RetryOptions{MaxRetries: r.retries, RetryDelay: 100 * time.Millisecond}
}

// producer calls use with a producer client.
func (r route) producer(ctx context.Context, hub string, use func(*azeventhubs.ProducerClient) error) error {
	client, err := azeventhubs.NewProducerClientFromConnectionString(r.connectionString, hub, &azeventhubs.ProducerClientOptions{
		CustomEndpoint:   r.endpoint,
		TLSConfig:        r.tls,
		NewWebSocketConn: r.webSocket,
		RetryOptions:     r.retryOptions(),
	})
	if err != nil {
		return err
	}
	return errors.Join(use(client), client.Close(ctx))
}

// consumer calls use with a consumer client.
func (r route) consumer(ctx context.Context, hub string, use func(*azeventhubs.ConsumerClient) error) error {
	client, err := azeventhubs.NewConsumerClientFromConnectionString(r.connectionString, hub, azeventhubs.DefaultConsumerGroup, &azeventhubs.ConsumerClientOptions{
		CustomEndpoint:   r.endpoint,
		TLSConfig:        r.tls,
		NewWebSocketConn: r.webSocket,
		RetryOptions:     r.retryOptions(),
	})
	if err != nil {
		return err
	}
	return errors.Join(use(client), client.Close(ctx))
}

// A received is an event as the runner reads it.
type received struct {
	Partition string `json:"partition"`
	Sequence  int64  `json:"sequence"`
	Offset    string `json:"offset"`
	Time      int64  `json:"time"`
	Key       string `json:"key"`
	Body      string `json:"body"`
}

func seen(partition string, e *azeventhubs.ReceivedEventData) received {
	r := received{
		Partition: partition,
		Sequence:  e.SequenceNumber,
		Offset:    e.Offset,
		Time:      e.EnqueuedTime.UnixMilli(),
		Body:      string(e.Body),
	}
	if e.PartitionKey != nil {
		r.Key = *e.PartitionKey
	}
	return r
}

// read receives n events of a partition.
func read(ctx context.Context, client *azeventhubs.ConsumerClient, partition string, start azeventhubs.StartPosition, n int) ([]received, error) {
	from, err := client.NewPartitionClient(partition, &azeventhubs.PartitionClientOptions{StartPosition: start})
	if err != nil {
		return nil, err
	}
	var all []received
	for err == nil && len(all) < n {
		var events []*azeventhubs.ReceivedEventData
		events, err = from.ReceiveEvents(ctx, n-len(all), nil)
		for _, e := range events {
			all = append(all, seen(partition, e))
		}
	}
	if err != nil {
		err = fmt.Errorf("after %d of %d events: %w", len(all), n, err)
	}
	return all, errors.Join(err, from.Close(ctx))
}
