package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

const (
	// listenKey is a shared access policy without the right to send.
	listenKey = "listen"
	// serviceHost is a namespace that does not exist.
	serviceHost = "interop.servicebus.windows.net"

	textThrottled = "The request was terminated because the entity is being throttled. Error code : 50002. Sub error : 102. Please wait 4 seconds and try again. To know more visit https://aka.ms/sbResourceMgrExceptions"
	textForced    = "The connection was closed by the service for an upgrade."
)

// A world is the environment of one client's script: an emulator with a hub for each check, and
// faults by hub.
type world struct {
	client *client
	server *emulator.Server
	// Each server speaks only one transport, so that a client cannot use another one unnoticed.
	tls, webSocket *emulator.Server
	// This server reports to idempotent producers the sequence number that it tracks.
	reporting   *emulator.Server
	dir         string // for files that the script reads
	keys        []string
	earthquakes []earthquake

	mu        sync.Mutex       // guards the fields below
	transfers map[string][]int // by hub: the connections of the transfers, in order
	receivers map[string][]int // by hub: the connections of the attached receivers
	forced    bool             // a consumer's connection was closed
}

func newWorld(ctx context.Context, c *client, log io.Writer) (*world, error) {
	w := &world{
		client:    c,
		keys:      partitionKeys(),
		transfers: make(map[string][]int),
		receivers: make(map[string][]int),
	}
	options := &emulator.Options{
		Authentication: &emulator.Authentication{
			Keys: []emulator.Key{{Name: listenKey, Value: "listen-key", Rights: emulator.RightListen}},
		},
		Hook:   w.hook,
		Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range checks {
		options.Hubs = append(options.Hubs, emulator.Hub{Name: hubOf(c.name), Partitions: c.partitions})
	}
	var err error
	if w.earthquakes, err = earthquakes(); err != nil {
		return nil, err
	}
	if w.dir, err = os.MkdirTemp("", "interop-"); err != nil {
		return nil, err
	}
	if err = w.start(options); err == nil && c.does(checkNamed(nameOurs)) {
		err = w.publishOurs(ctx)
	}
	if err == nil && c.does(checkNamed(nameOurTypes)) {
		err = w.publishOurTypes(ctx)
	}
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// start starts the emulators and writes the files.
func (w *world) start(options *emulator.Options) error {
	var authorities []byte
	main, open := emulator.TransportPlain, emulator.New
	if w.client.servicePort {
		main, open = emulator.TransportTLS, newAtServicePort
	}
	for _, s := range []struct {
		server        **emulator.Server
		open          func(*emulator.Options) (*emulator.Server, error)
		transports    emulator.Transport
		reportTracked bool
	}{
		{&w.server, open, main, false},
		{&w.reporting, emulator.New, emulator.TransportPlain, true},
		{&w.tls, emulator.New, emulator.TransportTLS, false},
		{&w.webSocket, emulator.New, emulator.TransportWebSocketTLS, false},
	} {
		options.Transports, options.Idempotence.ReportTracked = s.transports, s.reportTracked
		var err error
		if *s.server, err = s.open(options); err != nil {
			return err
		}
		authorities = append(authorities, (*s.server).CertificateAuthority()...)
	}
	text, err := json.Marshal(w.keys)
	if err == nil {
		err = os.WriteFile(w.keysFile(), text, 0o600)
	}
	if err == nil {
		err = os.WriteFile(w.authoritiesFile(), authorities, 0o600)
	}
	return err
}

// newAtServicePort starts an emulator at the service's port, 5671, on the first loopback address
// where it is free.
func newAtServicePort(options *emulator.Options) (*emulator.Server, error) {
	const addresses = 9
	var errs []error
	for i := range addresses {
		o := *options
		o.Addr = fmt.Sprintf("127.0.0.%d:5671", i+1)
		server, err := emulator.New(&o)
		if err == nil {
			return server, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("the client needs port 5671: %w", errors.Join(errs...))
}

func (w *world) close() {
	for _, server := range []*emulator.Server{w.server, w.reporting, w.tls, w.webSocket} {
		if server != nil {
			_ = server.Close() // always nil
		}
	}
	_ = os.RemoveAll(w.dir)
}

// serverOf returns the emulator for a check.
func (w *world) serverOf(check string) *emulator.Server {
	switch {
	case w.client.servicePort:
		return w.server
	case check == nameTLS:
		return w.tls
	case check == nameWebSocket:
		return w.webSocket
	case check == nameIdempotentReported || check == nameReplacedReported:
		return w.reporting
	default:
		return w.server
	}
}

func (w *world) keysFile() string        { return filepath.Join(w.dir, "keys.json") }
func (w *world) authoritiesFile() string { return filepath.Join(w.dir, "authorities.pem") }

// environment returns the script's variables.
func (w *world) environment() []string {
	return []string{
		"INTEROP_CONNECTION_STRING=" + w.server.ConnectionString(""),
		"INTEROP_REPORTING_CONNECTION_STRING=" + w.reporting.ConnectionString(""),
		"INTEROP_WRONG_KEY=" + w.wrongKey(),
		"INTEROP_LISTEN_ONLY=" + w.listenOnly(),
		"INTEROP_SERVICE_CONNECTION_STRING=" + w.serviceConnectionString(),
		"INTEROP_TLS_ADDRESS=" + w.tls.Addr(),
		"INTEROP_WEBSOCKET_ADDRESS=" + w.webSocket.Addr(),
		"INTEROP_CA_FILE=" + w.authoritiesFile(),
		"NODE_EXTRA_CA_CERTS=" + w.authoritiesFile(), // Node.js reads it at its start
		"SSL_CERT_FILE=" + w.authoritiesFile(),       // so does Rust's client
		"INTEROP_KEYS=" + w.keysFile(),
		"INTEROP_EARTHQUAKES=" + strconv.Itoa(len(w.earthquakes)),
		"INTEROP_KEY_PARTITIONS=" + strconv.Itoa(routedPartitions),
	}
}

// wrongKey and listenOnly are connection strings without the right to send.
func (w *world) wrongKey() string {
	return withKey(w.server.ConnectionString(""), "RootManageSharedAccessKey", "wrong")
}

func (w *world) listenOnly() string {
	return withKey(w.server.ConnectionString(""), listenKey, "listen-key")
}

// serviceConnectionString looks like the service's: TLS, no port, and a host that only the client's
// options can reach.
func (w *world) serviceConnectionString() string {
	return strings.Replace(w.tls.TLSConnectionString(""), w.tls.Addr(), serviceHost+"/", 1)
}

// withKey returns a connection string with another key.
func withKey(text, name, value string) string {
	parts := strings.Split(text, ";")
	for i, part := range parts {
		switch key, _, _ := strings.Cut(part, "="); key {
		case "SharedAccessKeyName":
			parts[i] = key + "=" + name
		case "SharedAccessKey":
			parts[i] = key + "=" + value
		}
	}
	return strings.Join(parts, ";")
}

// hook decides by the hub, since each hub belongs to one check.
func (w *world) hook(_ context.Context, op emulator.Operation) emulator.Action {
	action := w.decide(op)
	switch pause := w.client.pause; {
	case pause == 0:
		return action
	case op.Kind == emulator.KindTransfer:
		return action.AnswerAfter(pause)
	default:
		return action.After(pause)
	}
}

// decide counts transfers and receivers, and returns the action for them.
func (w *world) decide(op emulator.Operation) emulator.Action {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch op.Kind {
	case emulator.KindTransfer:
		w.transfers[op.Hub] = append(w.transfers[op.Hub], op.Connection)
	case emulator.KindAttach:
		if !op.Receiver || op.PartitionID == "" {
			return emulator.Pass()
		}
		w.receivers[op.Hub] = append(w.receivers[op.Hub], op.Connection)
	case emulator.KindManagement:
	default:
		return emulator.Pass()
	}
	return w.fault(op)
}

// fault returns the action for a transfer, a receiver's attach or a request to $management. mu is
// held.
func (w *world) fault(op emulator.Operation) emulator.Action {
	if op.Hub == hubOf(nameConsumerReconnects) && !w.forced && w.forces(op) {
		w.forced = true
		return emulator.CloseConnection("amqp:connection:forced", textForced)
	}
	if op.Kind != emulator.KindTransfer {
		return emulator.Pass()
	}
	transfers := len(w.transfers[op.Hub])
	switch {
	case op.Hub == hubOf(nameThrottled) && transfers == 1:
		return emulator.Reject("com.microsoft:server-busy", textThrottled)
	case op.Hub == hubOf(nameProducerReconnects) && transfers == 2:
		return emulator.CloseConnection("amqp:connection:forced", textForced)
	case op.Hub == hubOf(nameIdempotent) || op.Hub == hubOf(nameIdempotentReported):
		switch stored, cut := w.client.cuts[transfers]; {
		case stored:
			return emulator.Cut().Stored() // the acknowledgement is lost
		case cut:
			return emulator.Cut()
		default:
			return emulator.Pass()
		}
	case strings.HasPrefix(op.Hub, "consume-from-"):
		return emulator.Pass().After(2 * time.Millisecond) // no two events then have the same time
	default:
		return emulator.Pass()
	}
}

// forces reports whether an operation makes the emulator close a consumer's connection. It does
// when the fourth receiver is attached, or when a client asks for the last partition's properties.
// A consumer asks over the same connection. mu is held.
func (w *world) forces(op emulator.Operation) bool {
	return op.Kind == emulator.KindAttach && len(w.receivers[op.Hub]) == 4 ||
		op.Kind == emulator.KindManagement && op.PartitionID == "3"
}

// transferConnections returns the connections of a hub's transfers, in order.
func (w *world) transferConnections(hub string) []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]int(nil), w.transfers[hub]...)
}

// receiverConnections returns the connections of a hub's receivers, in order.
func (w *world) receiverConnections(hub string) []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]int(nil), w.receivers[hub]...)
}
