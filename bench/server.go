package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// A serverKind is a kind of server for peers.
type serverKind string

const (
	nullServerAMQP serverKind = "amqp"     // the bench's own Event Hubs, without storage
	emulatorServer serverKind = "emulator" // the emulator, without storage
	kafkaServer    serverKind = "kafka"    // a Kafka, without storage
	sinkServer     serverKind = "sink"     // acknowledges each block of blockBytes
	noServer       serverKind = ""         // the peer sends nothing
)

// hubName is the event hub, or topic, of all runs.
const hubName = "events"

// An order is the server's task, as JSON on its standard input. The end of the input ends the
// server.
type order struct {
	Kind     serverKind
	Scenario scenario
	Profile  string // like a job's, for the server's whole run
}

// An address is the server's answer when clients may connect.
type address struct {
	Addr             string
	ConnectionString string // of an AMQP server
	Authority        []byte // PEM, with TLS
}

// tally has the server's counts, its last answer.
type tally struct {
	Events, Batches int64
	Bytes           int64 // of the messages; only the null AMQP server counts them
}

// A nullServer accepts everything and keeps nothing.
type nullServer interface {
	address() address
	counts() tally
	close() error
}

// runServer is the role of a server.
func runServer(_ context.Context, stdin io.Reader, stdout io.Writer) error {
	input := bufio.NewReader(stdin)
	line, err := input.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("reading the order: %w", err)
	}
	var o order
	if err := json.Unmarshal(line, &o); err != nil {
		return fmt.Errorf("reading the order: %w", err)
	}
	server, err := startServer(&o)
	if err != nil {
		return err
	}
	stop, err := startProfile(o.Profile)
	if err != nil {
		return err
	}
	answers := json.NewEncoder(stdout)
	if err := answers.Encode(server.address()); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, input) // until the driver closes it, or ends
	counted := server.counts()
	if err := errors.Join(stop(), server.close()); err != nil {
		return err
	}
	return answers.Encode(counted)
}

func startServer(o *order) (nullServer, error) {
	switch o.Kind {
	case nullServerAMQP:
		return startNullAMQP(&o.Scenario)
	case emulatorServer:
		return startEmulator(&o.Scenario)
	case kafkaServer:
		return startKafka(&o.Scenario)
	case sinkServer:
		return startSink(&o.Scenario)
	default:
		return nil, fmt.Errorf("there is no server %q", o.Kind)
	}
}

// An emulated is the emulator as a server.
type emulated struct {
	server *emulator.Server
	tls    bool
}

func startEmulator(s *scenario) (nullServer, error) {
	options := &emulator.Options{
		Hubs:       []emulator.Hub{{Name: hubName, Partitions: s.Partitions}},
		Discard:    true,
		Transports: emulator.TransportPlain,
	}
	if s.TLS {
		options.Transports = emulator.TransportTLS
	}
	if s.Ack > 0 {
		least, span := jittered(s.Ack)
		options.Hook = emulator.Latency(1, least, span)
	}
	server, err := emulator.New(options)
	if err != nil {
		return nil, err
	}
	return &emulated{server, s.TLS}, nil
}

func (e *emulated) address() address {
	if e.tls {
		return address{Addr: e.server.Addr(), ConnectionString: e.server.TLSConnectionString(""), Authority: e.server.CertificateAuthority()}
	}
	return address{Addr: e.server.Addr(), ConnectionString: e.server.ConnectionString("")}
}

func (e *emulated) counts() tally {
	c := e.server.Counts(hubName, "")
	return tally{Events: int64(c.Events), Batches: int64(c.Batches)}
}

func (e *emulated) close() error { return e.server.Close() }

// A listener accepts connections and serves each on its own goroutine.
type listener struct {
	net       net.Listener
	authority []byte
	serve     func(net.Conn)

	mu    sync.Mutex // guards the fields below
	conns []net.Conn
	wg    sync.WaitGroup
}

// listen begins to accept. serve must return when its connection ends.
func listen(encrypted bool, serve func(net.Conn)) (*listener, error) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &listener{net: inner, serve: serve}
	if encrypted {
		if l.net, l.authority, err = encrypt(inner); err != nil {
			return nil, err
		}
	}
	// Ends with close, which waits for it.
	l.wg.Go(l.accept)
	return l, nil
}

func (l *listener) accept() {
	for {
		conn, err := l.net.Accept()
		if err != nil {
			return
		}
		l.mu.Lock()
		l.conns = append(l.conns, conn)
		l.mu.Unlock()
		// Ends with the connection; close waits for it.
		l.wg.Go(func() {
			defer conn.Close()
			l.serve(conn)
		})
	}
}

func (l *listener) address() address {
	return address{Addr: l.net.Addr().String(), Authority: l.authority}
}

func (l *listener) close() error {
	err := l.net.Close()
	l.mu.Lock()
	for _, conn := range l.conns {
		_ = conn.Close()
	}
	l.mu.Unlock()
	l.wg.Wait()
	return err
}
