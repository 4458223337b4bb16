package main

import (
	"context"
	"errors"
	"math"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// emulatorOptions are the arguments of emulator.
type emulatorOptions struct {
	server     emulator.Options // without Store
	configFile string           // empty: none
	config     config
	dataDir    string   // empty: in memory
	caFile     string   // empty: not given
	healthAddr string   // empty: no health check
	httpAddr   string   // empty: no page
	readyFile  string   // empty: none
	child      *child   // nil: none
	inForce    []string // the server's special behaviour in sentences, for the page
}

// emulatorFlags are the flags that need a check or a conversion before they are options.
type emulatorFlags struct {
	tls, webSocket, auth bool
	latency              time.Duration
	idleLink, idleConn   time.Duration
	jitter               string
	retention            emulator.Retention
}

func parseEmulator(args []string) (*emulatorOptions, error) {
	opts := &emulatorOptions{}
	var f emulatorFlags
	var hubs []emulator.Hub
	flags := newFlagSet("emulator")
	flags.StringVar(&opts.server.Addr, "addr", "127.0.0.1:0", "")
	flags.Func("hub", "", func(spec string) error {
		hub, err := parseHub(spec)
		hubs = append(hubs, hub)
		return err
	})
	flags.StringVar(&opts.configFile, "config", "", "")
	flags.StringVar(&opts.dataDir, "data", "", "")
	flags.DurationVar(&f.retention.Time, "retention", 0, "")
	flags.Int64Var(&f.retention.Bytes, "retention-bytes", 0, "")
	flags.IntVar(&f.retention.Events, "retention-events", 0, "")
	flags.Func("max-memory", "", func(text string) (err error) {
		opts.server.MaxMemory, err = parseSize(text)
		return err
	})
	flags.BoolVar(&opts.server.Discard, "discard", false, "")
	flags.BoolVar(&f.tls, "tls", false, "")
	flags.StringVar(&opts.caFile, "tls-ca", "", "")
	flags.BoolVar(&f.webSocket, "websocket", false, "")
	flags.BoolVar(&f.auth, "auth", false, "")
	flags.IntVar(&opts.server.ThroughputUnits, "throughput-units", 0, "")
	opts.faultFlags(flags)
	flags.DurationVar(&f.latency, "latency", 0, "")
	flags.StringVar(&f.jitter, "jitter", "", "")
	flags.DurationVar(&f.idleLink, "idle-link", 30*time.Minute, "")
	flags.DurationVar(&f.idleConn, "idle-connection", 5*time.Minute, "")
	flags.StringVar(&opts.healthAddr, "health", "", "")
	flags.StringVar(&opts.httpAddr, "http", "", "")
	flags.StringVar(&opts.readyFile, "ready-file", "", "")
	args, command, separated := cutArgs(args)
	others, err := parseFlags(flags, args)
	if err != nil {
		return nil, err
	}
	if len(others) > 0 {
		return nil, badInput("unexpected argument %q; a command to run comes after \"--\"; see \"eventhubs emulator --help\"", others[0])
	}
	if separated && len(command) == 0 {
		return nil, badInput("no command comes after \"--\"; see \"eventhubs emulator --help\"")
	}
	if opts.child, err = findChild(command); err != nil {
		return nil, err
	}
	if err := opts.check(givenFlags(flags), &f); err != nil {
		return nil, err
	}
	if err := opts.checkMessageSize(); err != nil {
		return nil, err
	}
	if err := opts.setHubs(hubs, f.retention); err != nil {
		return nil, err
	}
	return opts, opts.setBehaviour(&f)
}

// cutArgs divides the arguments at the first "--".
func cutArgs(args []string) (before, after []string, found bool) {
	if i := slices.Index(args, "--"); i >= 0 {
		return args[:i], args[i+1:], true
	}
	return args, nil, false
}

// check refuses values and combinations that can never work.
func (opts *emulatorOptions) check(given map[string]bool, f *emulatorFlags) error {
	switch {
	case !isAddress(opts.server.Addr):
		return badInput("--addr %q is not HOST:PORT with a port from 0 to 65535", opts.server.Addr)
	case opts.healthAddr != "" && !isAddress(opts.healthAddr):
		return badInput("--health %q is not HOST:PORT with a port from 0 to 65535", opts.healthAddr)
	case opts.httpAddr != "" && !isAddress(opts.httpAddr):
		return badInput("--http %q is not HOST:PORT with a port from 0 to 65535", opts.httpAddr)
	case f.idleLink < 0:
		return badInput("--idle-link is %v; it cannot be negative, and 0 means never", f.idleLink)
	case f.idleConn < 0:
		return badInput("--idle-connection is %v; it cannot be negative, and 0 means never", f.idleConn)
	case given["retention"] && f.retention.Time <= 0:
		return badInput("--retention is %v; it must be more than 0, such as 1h", f.retention.Time)
	case given["retention-bytes"] && f.retention.Bytes < 1:
		return badInput("--retention-bytes is %d; it must be at least 1", f.retention.Bytes)
	case given["retention-events"] && f.retention.Events < 1:
		return badInput("--retention-events is %d; it must be at least 1", f.retention.Events)
	case given["throughput-units"] && opts.server.ThroughputUnits < 1:
		return badInput("--throughput-units is %d; it must be at least 1", opts.server.ThroughputUnits)
	case given["max-memory"] && opts.server.MaxMemory < 1<<20:
		return badInput("--max-memory is %d bytes; it must be at least 1MiB", opts.server.MaxMemory)
	case opts.server.Discard && given["max-memory"]:
		return badInput("--discard keeps no events, so --max-memory would bound nothing")
	case opts.server.Discard && opts.dataDir != "":
		return badInput("--discard keeps no events, so --data would have nothing to keep")
	case given["tls-ca"] && !f.tls:
		return badInput("--tls-ca is for --tls only")
	case f.latency < 0:
		return badInput("--latency is %v; it cannot be negative", f.latency)
	case given["jitter"] && f.latency == 0:
		return badInput("--jitter is for --latency only")
	}
	return nil
}

func isAddress(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	return err == nil
}

// setHubs sets the hubs: those of the Config.json, then those of the command line, then the hub of
// the health check.
func (opts *emulatorOptions) setHubs(hubs []emulator.Hub, retention emulator.Retention) error {
	if opts.configFile != "" {
		text, err := os.ReadFile(opts.configFile)
		if err != nil {
			return badInput("--config: %w", err)
		}
		if opts.config, err = parseConfig(text); err != nil {
			return badInput("%s: %w", opts.configFile, err)
		}
		opts.config.file = opts.configFile
		if err := opts.config.checkHubs(len(hubs)); err != nil {
			return badInput("%s: %w", opts.configFile, err)
		}
	}
	all := append(opts.config.hubs, hubs...)
	if len(all) == 0 {
		all = []emulator.Hub{{Name: defaultHub, Partitions: defaultPartitions}}
	}
	for i := range all {
		all[i].Retention = retention
	}
	if opts.healthAddr != "" {
		all = append(all, emulator.Hub{Name: healthHub, Partitions: 1, Retention: emulator.Retention{Events: 1}, FaultFree: true})
	}
	opts.server.Hubs = all
	return nil
}

// refuseIdentity refuses tokens of Entra ID. Only Entra ID's keys verify their signatures.
func refuseIdentity(context.Context, string) (emulator.Claims, error) {
	return emulator.Claims{}, errors.New("this emulator cannot verify tokens of Azure identities; without --auth it accepts any token")
}

// setBehaviour sets everything except the hubs.
func (opts *emulatorOptions) setBehaviour(f *emulatorFlags) error {
	opts.server.Transports = emulator.TransportPlain
	webSocket := emulator.TransportWebSocket
	if f.tls {
		opts.server.Transports = emulator.TransportTLS
		webSocket = emulator.TransportWebSocketTLS
	}
	if f.webSocket {
		opts.server.Transports |= webSocket
	}
	if f.auth {
		// It has the official emulator's key.
		opts.server.Authentication = &emulator.Authentication{JWT: refuseIdentity}
	}
	opts.server.Idle = f.idle()
	if f.latency > 0 {
		jitter, err := parseJitter(f.jitter, f.latency)
		if err != nil {
			return err
		}
		line := "Every answer takes " + f.latency.String()
		if jitter > 0 {
			line += ", " + jitter.String() + " more or less"
		}
		opts.inForce = append(opts.inForce, line+".")
		opts.server.Hook = emulator.Latency(latencySeed, f.latency-jitter, 2*jitter)
	}
	return nil
}

// idle returns after which times the emulator closes idle clients.
func (f *emulatorFlags) idle() emulator.Idle {
	never := func(d time.Duration) time.Duration {
		if d == 0 {
			return -1
		}
		return d
	}
	return emulator.Idle{
		Sender: never(f.idleLink), Connection: never(f.idleConn), NewConnection: never(min(f.idleConn, time.Minute)),
	}
}

// latencySeed makes every run have the same latencies.
const latencySeed = 1

// parseJitter reads how much a latency varies: 10% or 2ms. Empty means not at all.
func parseJitter(text string, latency time.Duration) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	var jitter time.Duration
	var err error
	if percent, ok := strings.CutSuffix(text, "%"); ok {
		var n float64
		n, err = strconv.ParseFloat(percent, 64)
		if n >= 0 && n <= 100 { // false for NaN
			jitter = time.Duration(float64(latency) * n / 100)
		} else {
			err = errors.New("out of range")
		}
	} else {
		jitter, err = time.ParseDuration(text)
	}
	if err != nil || jitter < 0 || jitter > latency {
		return 0, badInput("--jitter is %q; want a percentage from 0%% to 100%%, or a duration up to that of --latency (%v)", text, latency)
	}
	return jitter, nil
}

// parseSize reads a number of bytes: 1000000, 512KiB, 64MiB or 2GiB.
func parseSize(text string) (int64, error) {
	number, unit := text, int64(1)
	for i, suffix := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if n, ok := strings.CutSuffix(text, suffix); ok {
			number, unit = n, 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return 0, errors.New("want a number of bytes, or one with KiB, MiB, GiB or TiB, for example 512MiB")
	}
	return n * unit, nil
}

// parseHub reads NAME:PARTITIONS.
func parseHub(spec string) (emulator.Hub, error) {
	name, count, ok := strings.Cut(spec, ":")
	partitions, err := strconv.Atoi(count)
	if !ok || name == "" || err != nil || partitions < 1 {
		return emulator.Hub{}, errors.New("want NAME:PARTITIONS, for example events:8")
	}
	return emulator.Hub{Name: name, Partitions: partitions}, nil
}
