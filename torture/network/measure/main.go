//go:build linux

// Measure runs the producer and the emulator as processes in two network namespaces, with a router
// between them. It prints the tables of docs/wire.md under "A real network".
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// An options is what the command line says.
type options struct {
	only      string
	control   string        // congestion control
	roundTrip time.Duration // of an empty way
	warmUp    time.Duration
	lasting   time.Duration
}

func main() {
	if os.Getenv(roleVariable) != "" {
		if err := play(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "measure:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(2)
	}
}

// measurements are the tables, in their order.
var measurements = []struct {
	name string
	make func(*bench) error
}{
	{"throughput", throughput},
	{"connections", connections},
	{"slow", slow},
	{"half-open", halfOpen},
	{"outage", outage},
	{"idle", idle},
}

func run(args []string, out, status io.Writer) error {
	var o options
	flags := flag.NewFlagSet("measure", flag.ContinueOnError)
	flags.SetOutput(status)
	flags.StringVar(&o.only, "only", "", "make only these tables, with commas between them: throughput, connections, slow, half-open, outage, idle")
	flags.StringVar(&o.control, "control", "cubic,bbr", "congestion controls of the producer's kernel, with commas between them")
	flags.DurationVar(&o.roundTrip, "round-trip", 80*time.Millisecond, "of the way between producer and emulator")
	flags.DurationVar(&o.warmUp, "warm-up", 4*time.Second, "before throughput and latency are measured")
	flags.DurationVar(&o.lasting, "for", 12*time.Second, "how long throughput and latency are measured")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q: there are flags only", flags.Arg(0))
	}
	if o.roundTrip <= 0 || o.warmUp < 0 || o.lasting <= 0 {
		return errors.New("-round-trip and -for must be more than 0, -warm-up at least 0")
	}
	for name := range strings.SplitSeq(o.only, ",") {
		if name != "" && !known(name) {
			return fmt.Errorf("-only: there is no table %q", name)
		}
	}
	b := &bench{options: o, out: out, status: status}
	for _, m := range measurements {
		if o.only != "" && !contains(o.only, m.name) {
			continue
		}
		if err := m.make(b); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return nil
}

func known(name string) bool {
	for _, m := range measurements {
		if m.name == name {
			return true
		}
	}
	return false
}

func contains(list, name string) bool { return strings.Contains(","+list+",", ","+name+",") }
