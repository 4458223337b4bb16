package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatordata"
	"github.com/go-eventhubs/eventhubs/emulator/emulatorhttp"
	"github.com/go-eventhubs/eventhubs/internal/local"
)

const emulatorHelp = `Runs an emulator of Event Hubs in this process until it is interrupted. When clients can connect, it
prints one line to standard output: the connection string for them. With a COMMAND after "--" it runs
that command instead, and ends with it.

Usage:
  eventhubs emulator [options]
  eventhubs emulator [options] -- COMMAND [arguments]

Where it listens, and what it stores:
  --addr HOST:PORT         address to listen on (default 127.0.0.1:0). Port 0 takes a free one. Here
                           and with --http and --health, :PORT is loopback, and 0.0.0.0:PORT is all
                           interfaces
  --hub NAME:PARTITIONS    a hub to create; may be repeated (default events:8)
  --config FILE            the official emulator's Config.json: its hubs and consumer groups, without
                           its limits. --hub adds hubs. Unknown fields are ignored, and named on
                           standard error
  --data DIR               keep hubs and events in this directory (default: in memory only). After a
                           restart, offsets, sequence numbers and times are the same
  --retention DURATION     delete events after this time, such as 1h (default: never)
  --retention-bytes N      keep at most N bytes of events in each partition (default: no limit)
  --retention-events N     keep at most N events in each partition (default: no limit)
  --max-memory SIZE        bound of the events in memory, such as 512MiB or 2GiB (default: a quarter of
                           what the process may use, by its cgroup, GOMEMLIMIT or the machine).
                           Beyond it the oldest events are forgotten, and a line says so; with
                           --data they are read from the disk
  --discard                count events and keep none: for measuring clients

How clients connect:
  --tls                    clients must use TLS; the emulator makes a certificate authority at start
  --tls-ca FILE            file for that authority's certificate (PEM), which clients must trust
                           (default: a temporary file, named on standard error, removed at the end)
  --websocket              clients may also use AMQP over WebSocket on the same port (with --tls:
                           over HTTPS)
  --auth                   verify tokens (default: accept any). The key is the official emulator's:
                           its name is RootManageSharedAccessKey, its value SAS_KEY_VALUE. Tokens of
                           Azure identities are refused: the emulator cannot verify them

How it behaves:
  --throughput-units N     throttle like a namespace with N units, each of 1 MB and 1000 events a
                           second (default: no limit)
  --max-message-size N     largest event or batch in bytes, from 1024 to 268435456 (default 1046528)
  --fault RULE             make something fail, as the rule says; may be repeated. For example
                           'throttle hub=orders share=10%' or 'cut-after every=100 from=10s for=1m'.
                           See "Faults" below. /api/faults and the page of --http change them later
  --latency DURATION       delay every acknowledgement and other answer by this time (default 0)
  --jitter PERCENT         vary the latency at random, up and down, by this share, such as 10%; or
                           by a duration, such as 2ms
  --idle-link DURATION     detach senders that send nothing for this long, as the service does;
                           0: never (default 30m)
  --idle-connection DURATION
                           close connections without a link after this long, as the service does;
                           0: never (default 5m). A connection that never had a link is closed
                           after at most a minute
  --health HOST:PORT       answer GET /health over HTTP: 200 if an event can be sent, 503 if not

For scripts and tests:
  --ready-file FILE        a file that appears, complete, when clients can connect, and goes away at
                           the end. It has the variables below, NAME=value, each in a line. A file
                           that a killed emulator left is removed at the start
  -- COMMAND [arguments]   run a command, such as npm test, when clients can connect, with these
                           variables. Standard output is the command's. SIGINT and SIGTERM go to it.
                           The emulator ends when the command ends

The variables:
  EVENTHUBS_CONNECTION_STRING          the connection string
  EVENTHUB_NAME                        the hub, if there is only one
  EVENTHUBS_EMULATOR_URL               the page, with --http
  SSL_CERT_FILE, NODE_EXTRA_CA_CERTS   the file of the certificate authority, with --tls

Looking inside:
  --http HOST:PORT         serve a page for the browser: hubs, newest events, consumer groups,
                           connections and faults, updated as they change. Port 0 takes a free one.
                           The same data is JSON at /api/snapshot and /api/events?hub=NAME. Programs
                           send events at /api/events, set faults at /api/faults, and create, change
                           and delete hubs at /api/hubs

Faults:
  A rule is a fault and its fields, such as 'reject condition=amqp:internal-error hub=orders'.
  Faults:    throttle, reject, release, modify, lose-event, lose-ack, silence, cut-before, cut-after,
             detach, steal, close, hold-credit, delay, late-answer, stall, close-window,
             ignore-detach, ignore-close
  Where:     hub=NAME partition=ID,ID group=NAME on=transfer|attach|put-token|management|delivery|
             connection role=sender|receiver
  How often: share=10% (seed=N repeats it) or every=N; count=N at most
  When:      from=10s (after the start) for=30s
  Details:   condition=, text="…" and status= of an error; lasting=2s of a delay
  docs/faults.md explains them and shows what clients do.

Keep the addresses on loopback unless you mean otherwise. A client that reaches --addr may read and
write, even with --auth, since the key is public. A client that reaches --http sees all events, and
may send events, set faults and delete hubs.
The health check sends its events over the network, as clients do, to a hub of its own,
` + healthHub + `, which keeps one of them.

Exit status: 0 after an interrupt; 1 it cannot listen on the address or open the data;
2 wrong command line or Config.json. With a COMMAND: the command's, 128 and the signal's number if a
signal ended it, 127 if it was not found, 126 if it cannot be run.

Examples:
  eventhubs emulator
  eventhubs emulator --http :8080
  eventhubs emulator --hub orders:4 -- npm test
  eventhubs emulator --hub orders:4 --hub audit:1 --data ./eventhubs-data
  eventhubs emulator --hub orders:4 --latency 20ms --fault 'throttle hub=orders share=10%'
  eventhubs emulator --config Config.json --addr 127.0.0.1:5672 --health 127.0.0.1:5300
  eventhubs emulator --tls --tls-ca ca.pem --websocket
  eventhubs emulator --max-memory 512MiB --retention 1h
  eventhubs emulator --throughput-units 1 --latency 20ms --jitter 10%
  eventhubs publish --connection-string "$(what the emulator printed)" --hub orders orders.ndjson

The example with Config.json replaces the official emulator, at its ports. Clients use its connection string:
  Endpoint=sb://localhost;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;
`

func runEmulator(ctx context.Context, p *process, args []string) (err error) {
	opts, err := parseEmulator(args)
	if err != nil {
		return err
	}
	for _, path := range opts.config.ignored {
		fmt.Fprintf(p.stderr, "%s: %s is not known and is ignored.\n", opts.configFile, path)
	}
	ready, err := openReadyFile(opts.readyFile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ready.close()) }()
	opts.server.Logger = newEmulatorLog(p.tell)
	if opts.dataDir != "" {
		store, openErr := emulatordata.Open(opts.dataDir, &emulatordata.Options{Logger: opts.server.Logger})
		if openErr != nil {
			return fmt.Errorf("--data: %w", openErr)
		}
		defer func() { err = errors.Join(err, store.Close()) }()
		opts.server.Store = store
	}
	server, err := startEmulator(&opts.server)
	if err != nil {
		return opts.nameFault(opts.config.name(err))
	}
	defer server.Close()
	remove, err := writeAuthority(server, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	if opts.healthAddr != "" {
		check, err := startHealth(server, opts.healthAddr, p.tell)
		if err != nil {
			return err
		}
		defer check.close()
		fmt.Fprintln(p.stderr, "Health: http://"+check.addr()+"/health")
	}
	var page *page
	if opts.httpAddr != "" {
		if page, err = startPage(server, opts, p.tell); err != nil {
			return err
		}
		defer page.close()
		page.describe(p)
	}
	warnOfOthers(p, server)
	variables := opts.variables(server, page)
	if err := ready.write(variables); err != nil {
		return err
	}
	if opts.child != nil {
		err = opts.child.run(p, variables)
		return errors.Join(err, ready.close()) // before the server ends
	}
	describeEmulator(p, server, opts)
	if _, err := fmt.Fprintln(p.stdout, server.ConnectionString("")); err != nil {
		return err
	}
	<-ctx.Done()
	return ready.close()
}

// warnOfOthers says on standard error if other machines reach the server.
func warnOfOthers(p *process, server *emulator.Server) {
	host, _, _ := net.SplitHostPort(server.Addr())
	if !net.ParseIP(host).IsLoopback() {
		fmt.Fprintln(p.stderr, "Other machines may reach this address, and the key is public.")
	}
}

// describeEmulator writes the hubs and addresses to standard error.
func describeEmulator(p *process, server *emulator.Server, opts *emulatorOptions) {
	for _, hub := range opts.server.Hubs {
		if hub.Name == healthHub {
			continue
		}
		// A store may have more partitions for the hub.
		fmt.Fprintf(p.stderr, "Hub %s with %d partitions", hub.Name, len(server.PartitionIDs(hub.Name)))
		if n := server.Counts(hub.Name, "").Events; n > 0 {
			fmt.Fprintf(p.stderr, " and %d events", n)
		}
		fmt.Fprintln(p.stderr, ".")
	}
	describeFaults(p, server)
	if opts.caFile != "" {
		fmt.Fprintln(p.stderr, "Clients use TLS and must trust the certificate authority in "+opts.caFile+":")
		fmt.Fprintln(p.stderr, "  eventhubs publish, tail and check: --tls-ca FILE; Node.js: NODE_EXTRA_CA_CERTS=FILE; Go, Python and others: SSL_CERT_FILE=FILE")
	}
	if transport := opts.server.Transports & (emulator.TransportWebSocket | emulator.TransportWebSocketTLS); transport != 0 {
		fmt.Fprintln(p.stderr, "AMQP over WebSocket: "+server.URL(transport))
	}
	fmt.Fprintln(p.stderr, "The emulator listens on "+server.Addr()+". Interrupt it to end it.")
}

// A page is the browser's view of an emulator.
type page struct {
	listener net.Listener
	http     *http.Server
	done     chan struct{} // closed when http has ended
}

// startPage serves the page of a server. It reports errors of serving through tell.
func startPage(server *emulator.Server, opts *emulatorOptions, tell func(string)) (*page, error) {
	listener, err := local.Listen(opts.httpAddr)
	if err != nil {
		return nil, cannotListen("--http", opts.httpAddr, err)
	}
	shown := &emulatorhttp.Options{
		Hosts:   []string{local.Name(opts.httpAddr)}, // the name that the browser will call it by
		InForce: opts.inForce, Hidden: []string{healthHub},
	}
	p := &page{listener: listener, done: make(chan struct{})}
	p.http = newHTTPServer(opts.httpAddr, emulatorhttp.New(server, shown), tell)
	// The goroutine ends when close closes p.http. close waits for it.
	go func() {
		defer close(p.done)
		_ = p.http.Serve(listener) // http.ErrServerClosed, always
	}()
	return p, nil
}

// close ends the page, and cuts off answers in progress.
func (p *page) close() {
	_ = p.http.Close()
	<-p.done
}

// url is the page's address for programs on this machine.
func (p *page) url() string {
	addr := p.listener.Addr()
	if all, ok := addr.(*net.TCPAddr); ok && all.IP.IsUnspecified() {
		return "http://127.0.0.1:" + strconv.Itoa(all.Port)
	}
	return "http://" + addr.String()
}

// describe writes the page's address to standard error.
func (p *page) describe(out *process) {
	fmt.Fprintln(out.stderr, "Page: http://"+p.listener.Addr().String()+"/")
	if addr, ok := p.listener.Addr().(*net.TCPAddr); ok && !addr.IP.IsLoopback() {
		fmt.Fprintln(out.stderr, "Other machines may reach the page. There everybody sees all events, and may send events, set faults and delete hubs.")
	}
}

// writeAuthority writes the certificate of the server's authority to the file in opts.caFile. If
// that is empty and the server speaks TLS, it makes a temporary file and sets opts.caFile to its
// name. The caller calls remove at the end.
func writeAuthority(server *emulator.Server, opts *emulatorOptions) (remove func() error, err error) {
	keep := func() error { return nil }
	pem := server.CertificateAuthority()
	if pem == nil {
		return keep, nil
	}
	if opts.caFile != "" {
		if err := os.WriteFile(opts.caFile, pem, 0o644); err != nil {
			return nil, fmt.Errorf("--tls-ca: %w", err)
		}
		return keep, nil
	}
	file, err := os.CreateTemp("", "eventhubs-emulator-ca-*.pem")
	if err != nil {
		return nil, fmt.Errorf("writing the certificate authority (--tls-ca names another file): %w", err)
	}
	opts.caFile = file.Name()
	_, err = file.Write(pem)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, errors.Join(fmt.Errorf("writing the certificate authority: %w", err), os.Remove(opts.caFile))
	}
	return func() error { return os.Remove(opts.caFile) }, nil
}

// startEmulator starts an emulator. Its errors differ for wrong options, for an address that cannot
// be listened on, and for data that cannot be read.
func startEmulator(options *emulator.Options) (*emulator.Server, error) {
	server, err := emulator.New(options)
	if err == nil {
		return server, nil
	}
	if cause, ok := errors.AsType[*net.OpError](err); ok {
		return nil, cannotListen("--addr", options.Addr, cause)
	}
	if text, ok := strings.CutPrefix(err.Error(), "emulator: Options.Store: "); ok {
		if strings.Contains(text, "damaged") {
			text += ". Put back a copy of the directory, or give another one to begin with a new store"
		}
		return nil, errors.New("--data: " + text)
	}
	return nil, badInput("%w", err)
}

// wsaAddrInUse is Windows' error for an address in use; elsewhere the number means nothing.
const wsaAddrInUse = syscall.Errno(10048)

// cannotListen says why the address of a flag cannot be listened on, and what to do.
func cannotListen(flag, addr string, cause error) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || !errors.Is(cause, syscall.EADDRINUSE) && !errors.Is(cause, wsaAddrInUse) {
		return fmt.Errorf("cannot listen on %s (%s): %w", addr, flag, cause)
	}
	return fmt.Errorf("cannot listen on %s: port %s is taken by another program. End that program, or give another port: "+
		"%s %s takes a free one, named on standard error", addr, port, flag, net.JoinHostPort(host, "0"))
}
