package emulator_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"net"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/coder/websocket"
	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	internalamqp "github.com/go-eventhubs/eventhubs/internal/amqp"
)

// greetWith does the handshake with a SASL mechanism.
func greetWith(t *testing.T, server *emulator.Server, mechanism string, response []byte) error {
	t.Helper()
	conn, err := internalamqp.Client(t.Context(), dial(t, server), &internalamqp.Config{Mechanism: internalamqp.Symbol(mechanism), InitialResponse: response})
	if err != nil {
		return err
	}
	return conn.Close(nil)
}

// publishBy sends one event with a connection string.
func publishBy(t *testing.T, server *emulator.Server, connectionString string) error {
	t.Helper()
	client, err := azeventhubs.NewProducerClientFromConnectionString(connectionString, "", &azeventhubs.ProducerClientOptions{
		TLSConfig:    server.TLSConfig(),
		RetryOptions: azeventhubs.RetryOptions{MaxRetries: -1},
	})
	if err != nil {
		return err
	}
	defer func() { _ = client.Close(context.Background()) }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return publish(ctx, client, nil, "event")
}

// runProduction stands for the code of a program that is not changed for its tests. It publishes
// with the module's producer and with Azure's, and counts the events that it reads back.
func runProduction(ctx context.Context, namespace string, credential azcore.TokenCredential, endpoint string, trust *tls.Config) (int, error) {
	producer, err := eventhubs.NewBufferedProducer(namespace, "events", credential, &eventhubs.Options{
		Connection: eventhubs.ConnectionOptions{CustomEndpoint: endpoint, TLSConfig: trust},
	})
	if err != nil {
		return 0, err
	}
	if err := producer.Enqueue(ctx, &eventhubs.Event{Body: []byte("buffered"), PartitionID: "0"}); err != nil {
		return 0, err
	}
	if err := producer.Close(ctx); err != nil {
		return 0, err
	}

	client, err := azeventhubs.NewProducerClient(namespace, "events", credential, &azeventhubs.ProducerClientOptions{CustomEndpoint: endpoint, TLSConfig: trust})
	if err != nil {
		return 0, err
	}
	defer func() { _ = client.Close(ctx) }()
	if err := publish(ctx, client, &azeventhubs.EventDataBatchOptions{PartitionID: new("0")}, "batched"); err != nil {
		return 0, err
	}

	consumer, err := azeventhubs.NewConsumerClient(namespace, "events", azeventhubs.DefaultConsumerGroup, credential, &azeventhubs.ConsumerClientOptions{CustomEndpoint: endpoint, TLSConfig: trust})
	if err != nil {
		return 0, err
	}
	defer func() { _ = consumer.Close(ctx) }()
	partition, err := consumer.NewPartitionClient("0", &azeventhubs.PartitionClientOptions{StartPosition: earliest})
	if err != nil {
		return 0, err
	}
	defer func() { _ = partition.Close(ctx) }()
	events, err := partition.ReceiveEvents(ctx, 2, nil)
	return len(events), err
}

func TestProductionConstructorsRunUnchanged(t *testing.T) {
	server := emulatortest.New(t, &emulator.Options{Transports: emulator.TransportTLS, Authentication: &emulator.Authentication{}})
	trust := server.TLSConfig()
	trust.ServerName = "" // so that the client checks the namespace's name, as in production
	n, err := runProduction(t.Context(), "contoso.servicebus.windows.net", server.Credential(), server.Addr(), trust)
	if n != 2 || err != nil {
		t.Errorf("%d events read, %v; want 2", n, err)
	}
	stranger, err := azeventhubs.NewProducerClient("contoso.servicebus.windows.net", "events", emulatortest.New(t, nil).Credential(), &azeventhubs.ProducerClientOptions{
		CustomEndpoint: server.Addr(), TLSConfig: trust, RetryOptions: azeventhubs.RetryOptions{MaxRetries: -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stranger.Close(context.Background()) }()
	if err := publish(t.Context(), stranger, nil, "event"); err == nil {
		t.Error("another server's credential is good enough")
	}
}

// A program's production constructors run unchanged: with a namespace, a credential, TLS and
// verified tokens. Only the options say where the namespace is and which authority to trust.
func ExampleServer_Credential() {
	server, err := emulator.New(&emulator.Options{Authentication: &emulator.Authentication{}})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = server.Close() }()

	ctx := context.Background()
	producer, err := eventhubs.NewBufferedProducer("contoso.servicebus.windows.net", "events", server.Credential(), &eventhubs.Options{
		Connection: eventhubs.ConnectionOptions{CustomEndpoint: server.Addr(), TLSConfig: server.TLSConfig()},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := producer.Enqueue(ctx, &eventhubs.Event{Body: []byte("hello")}); err != nil {
		log.Fatal(err)
	}
	err = producer.Close(ctx)
	fmt.Println(err, server.Counts("events", "").Events)
	// Output: <nil> 1
}

// A key may be valid for one hub and for sending only. The server refuses everything else.
func ExampleAuthentication() {
	server, err := emulator.New(&emulator.Options{Authentication: &emulator.Authentication{
		Keys: []emulator.Key{{Name: "sender", Value: "c2VjcmV0", Hub: "events", Rights: emulator.RightSend}},
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = server.Close() }()

	ctx := context.Background()
	for _, secret := range []string{"c2VjcmV0", "guessed"} {
		err = sendGreeting(ctx, "Endpoint=sb://"+server.Addr()+";SharedAccessKeyName=sender;SharedAccessKey="+secret+";EntityPath=events;UseDevelopmentEmulator=true", nil)
		fmt.Println(err == nil, server.Counts("events", "").Events)
	}
	// Output:
	// true 1
	// false 1
}

// A connection string without a key, for tests of programs whose connection string is limited to a
// hub and a right.
func ExampleServer_SASConnectionString() {
	server, err := emulator.New(&emulator.Options{Authentication: &emulator.Authentication{}})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = server.Close() }()

	ctx := context.Background()
	fmt.Println(sendGreeting(ctx, server.SASConnectionString("events", emulator.RightSend), nil))
	fmt.Println(sendGreeting(ctx, server.SASConnectionString("events", emulator.RightListen), nil) == nil)
	// Output:
	// <nil>
	// false
}

// Azure's Go client over WebSocket, by the library that its own examples use.
func ExampleServer_URL() {
	server, err := emulator.New(&emulator.Options{Transports: emulator.TransportWebSocket})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = server.Close() }()

	err = sendGreeting(context.Background(), server.ConnectionString("events"), &azeventhubs.ProducerClientOptions{
		NewWebSocketConn: func(ctx context.Context, _ azeventhubs.WebSocketConnParams) (net.Conn, error) {
			ws, _, err := websocket.Dial(ctx, server.URL(emulator.TransportWebSocket), &websocket.DialOptions{Subprotocols: []string{"AMQPWSB10"}})
			if err != nil {
				return nil, err
			}
			return websocket.NetConn(context.Background(), ws, websocket.MessageBinary), nil
		},
	})
	fmt.Println(err, server.Counts("events", "").Events)
	// Output: <nil> 1
}
