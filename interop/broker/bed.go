package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// A bed is a running broker with what a case needs.
type bed struct {
	*broker
	commands  commands
	ledger    *ledger
	source    *source
	log       io.Writer
	port      string // where our transport connects
	inner     string // where the broker listens: port, unless there is a relay before it
	directory string // the broker's own; a restart keeps it
	lifetime  context.Context
	fail      func(error) // ends lifetime
	version   string

	server *process
	beside []*process // programs that the server needs
	reader *process   // nil if the server itself reports what arrives
	relay  *relay     // nil if the server takes commands

	// Of the running case.
	conn   *connection.Conn
	opened atomic.Int32 // the number of opened connections
}

// newBed starts a broker. Its programs end with ctx at the latest, and a program that fails ends
// ctx.
func newBed(ctx context.Context, b *broker, fail func(error), log io.Writer) (*bed, error) {
	installed, err := b.prepare(ctx)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	directory, err := os.MkdirTemp("", "interop-")
	if err != nil {
		return nil, err
	}
	d := &bed{
		broker: b, commands: installed, ledger: newLedger(), source: newSource(),
		log: log, port: port, inner: port, directory: directory, lifetime: ctx, fail: fail,
	}
	if d.commands.bare != nil {
		if d.relay, err = newRelay(net.JoinHostPort("127.0.0.1", d.inner)); err != nil {
			return nil, err
		}
		d.port = d.relay.port()
	}
	if err := d.start(ctx); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// freePort returns a port of loopback without a listener. The system gives the ports from 32,768 on
// to outgoing connections (Linux), which could take that of a broker between its kill and its
// start.
func freePort() (string, error) {
	const first, end, most = 10_000, 32_768, 100
	var last error
	for range most {
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(first+rand.IntN(end-first))))
		if err != nil {
			last = err
			continue
		}
		_, port, err := net.SplitHostPort(listener.Addr().String())
		return port, errors.Join(err, listener.Close())
	}
	return "", fmt.Errorf("none of %d ports from %d to %d is free: %w", most, first, end-1, last)
}

// start starts the server and its reader.
func (d *bed) start(ctx context.Context) error {
	if d.commands.bare != nil {
		return d.startBare(ctx)
	}
	server, ready, err := d.launch(ctx, "server", append(d.commands.server, d.port, d.directory, container))
	if err != nil {
		return err
	}
	d.server = server
	d.version = fmt.Sprintf("%s, %s", *ready.Ready, *ready.Runtime)
	return nil
}

func (d *bed) startReader(ctx context.Context) (err error) {
	if d.commands.reader != nil && d.reader == nil {
		d.reader, _, err = d.launch(ctx, "reader", append(d.commands.reader, d.inner))
	}
	return err
}

func (d *bed) launch(ctx context.Context, role string, command []string) (*process, line, error) {
	p := &process{name: d.name + "'s " + role, ledger: d.ledger, log: d.log, lifetime: d.lifetime, fail: d.fail}
	ready, err := p.started(ctx, command)
	if err != nil {
		return nil, ready, err
	}
	return p, ready, nil
}

// crash ends the server and its reader at once.
func (d *bed) crash() {
	for _, p := range []**process{&d.reader, &d.server} {
		if *p != nil {
			(*p).kill()
		}
		*p = nil
	}
	for _, p := range d.beside {
		p.kill()
	}
	d.beside = nil
	if d.relay != nil {
		d.relay.let(false)
	}
}

func (d *bed) close() {
	for _, p := range append([]*process{d.reader, d.server}, d.beside...) {
		if p != nil {
			p.stop()
		}
	}
	if d.relay != nil {
		d.relay.close()
	}
	_ = os.RemoveAll(d.directory)
}

// tell gives a command to the broker, or to the relay before it.
func (d *bed) tell(ctx context.Context, what string) (count int, err error) {
	if d.relay != nil {
		return d.relay.tell(what)
	}
	return d.server.tell(ctx, what)
}

// batch makes a batch of events of a size. A broker that does not keep several sections separate
// gets one event of the same total size.
func (d *bed) batch(events, size int) [][]byte {
	if d.oneSection {
		events, size = 1, events*size
	}
	return d.source.batch(events, size)
}

// format returns the message format of a batch when it arrives.
func (d *bed) format() uint32 {
	if d.formatless {
		return 0
	}
	return batchFormat
}

// read starts to report the messages at an address, present and future ones.
func (d *bed) read(ctx context.Context, address string) error {
	if d.commands.reader == nil {
		return nil
	}
	if err := d.startReader(ctx); err != nil {
		return err
	}
	_, err := d.reader.tell(ctx, "read "+address)
	return err
}

// readKept is read for the address of a whole producer. The server that numbers producers keeps
// their batches.
func (d *bed) readKept(ctx context.Context, address string) error {
	if d.numbers && strings.HasPrefix(address, numberedHub) {
		_, err := d.tell(ctx, "read "+address)
		return err
	}
	return d.read(ctx, address)
}

// relieve lets the broker accept more messages to an address of the hub dry.
func (d *bed) relieve(ctx context.Context, address string) error {
	if d.commands.reader != nil {
		return d.read(ctx, address)
	}
	_, err := d.tell(ctx, "allow "+address)
	return err
}

// runCase runs a case over a new connection.
func (d *bed) runCase(ctx context.Context, c *testCase) (remark string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, caseLimit, fmt.Errorf("it took more than %v", caseLimit))
	defer cancel()
	d.opened.Store(0)
	config := d.connection(container)
	config.Connected = func() { d.opened.Add(1) }
	d.conn = connection.New(config)
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = errors.Join(err, d.conn.Close(closing))
	}()
	return c.run(ctx, d)
}

// connection returns the configuration of a connection to the broker. Its name is the only one of
// its kind at a time, since ActiveMQ Classic refuses a second one.
func (d *bed) connection(name string) connection.Config {
	return connection.Config{
		Namespace:   net.JoinHostPort("127.0.0.1", d.port),
		Plain:       true,
		WithoutCBS:  true,
		ContainerID: name,
		Logger:      d.logger(),
	}
}

func (d *bed) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// wantConnections wants so many connections to have been opened, and one of them to be open.
func (d *bed) wantConnections(ctx context.Context, opened int) error {
	if got := int(d.opened.Load()); got != opened {
		return fmt.Errorf("%d connections were opened, want %d", got, opened)
	}
	count, err := d.tell(ctx, "connections")
	if err == nil && count != 1 {
		err = fmt.Errorf("the broker has %d connections of ours, want 1", count)
	}
	return err
}
