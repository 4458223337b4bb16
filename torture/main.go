// Torture runs producers, an emulator and a judge as processes of their own. It makes faults at
// random. The judge decides whether each event is where its producer says. See docs/torture.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if os.Getenv(roleVariable) != "" {
		if err := play(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "torture:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "torture:", err)
		os.Exit(2)
	case !ok:
		os.Exit(1)
	}
}

// run is the program without its environment. It returns whether the run found nothing wrong; the
// error is of the arguments, or of files.
func run(ctx context.Context, args []string, out, status io.Writer) (ok bool, err error) {
	var o options
	var asJSON, keep bool
	flags := flag.NewFlagSet("torture", flag.ContinueOnError)
	flags.SetOutput(status)
	flags.Uint64Var(&o.seed, "seed", 0, "seed of the faults; 0 takes one from the system, and prints it")
	flags.DurationVar(&o.lasting, "for", 20*time.Minute, "how long faults are made; the judge decides after that")
	flags.IntVar(&o.rate, "rate", 30_000, "events a second of all producers together; 0 is as many as they can")
	flags.Float64Var(&o.faults, "faults", 22, "faults a second, on average")
	flags.IntVar(&o.partitions, "partitions", 8, "partitions of the hub")
	flags.IntVar(&o.retention, "retention", 200_000, "events that a partition keeps; producers wait when the judge is a quarter of it behind")
	flags.StringVar(&o.only, "only", "", "make only the kinds of faults whose names have one of these parts, with commas between them")
	flags.StringVar(&o.directory, "directory", "", "where the run keeps its data, records and logs; must be new (default: a temporary one, which is removed if nothing is wrong)")
	flags.BoolVar(&o.plain, "plain", false, "no network namespaces and no mounts, which need root, so no faults of packets and no full disk; without root it is always so")
	flags.IntVar(&o.kills, "kills", 0, "kill -9 one publisher with a journal so often, and the emulator now and then, instead of other faults; -rate is 10000 then")
	flags.BoolVar(&asJSON, "json", false, "report in JSON")
	flags.BoolVar(&keep, "keep", false, "keep the temporary directory in any case")
	if err := flags.Parse(args); err != nil {
		return false, err
	}
	if o.kills > 0 {
		o.plain = true
		if !given(flags, "rate") {
			o.rate = killRate
		}
	}
	switch {
	case o.kills < 0 || o.kills > 0 && (given(flags, "for") || given(flags, "only") || given(flags, "faults")):
		return false, errors.New("-kills must be at least 0, and goes without -for, -only and -faults")
	case flags.NArg() > 0:
		return false, fmt.Errorf("unexpected argument %q: there are flags only", flags.Arg(0))
	case o.lasting <= 0 || o.faults <= 0 || o.rate < 0 || o.partitions < 1 || o.partitions > 100 || o.retention < 1000:
		return false, errors.New("-for and -faults must be more than 0, -rate at least 0, -partitions from 1 to 100, -retention at least 1000")
	case len(wanted(o.only)) == 0:
		return false, fmt.Errorf("-only=%s: no kind of fault has that in its name", o.only)
	}
	if !o.plain {
		if err := tryRouter(); err != nil {
			_, _ = fmt.Fprintf(status, "torture: -plain, so without faults of packets and full disks: %v\n", err)
			o.plain = true
		}
	}
	if len(o.kinds()) == 0 {
		return false, fmt.Errorf("-only=%s: these are faults of packets or of disks, which -plain leaves out", o.only)
	}
	if o.seed == 0 {
		o.seed = rand.Uint64()
	}
	temporary := o.directory == ""
	if temporary {
		if o.directory, err = os.MkdirTemp("", "torture-"); err != nil {
			return false, err
		}
	}
	what := fmt.Sprintf("-for %v", o.lasting)
	if o.kills > 0 {
		what = fmt.Sprintf("-kills %d", o.kills)
	}
	_, _ = fmt.Fprintf(status, "torture: -seed %d %s, in %s\n", o.seed, what, o.directory)
	d, err := newDriver(o)
	if err != nil {
		return false, err
	}
	began := time.Now()
	failure := d.run(ctx)
	r := d.report(time.Since(began), failure)
	if asJSON {
		err = r.writeJSON(out)
	} else {
		r.write(out)
	}
	if temporary && !keep && r.ok() {
		err = errors.Join(err, os.RemoveAll(o.directory))
	}
	return r.ok(), err
}

// killRate is the publisher's in a run of kills, in events a second.
const killRate = 10_000

func given(flags *flag.FlagSet, name string) (yes bool) {
	flags.Visit(func(f *flag.Flag) { yes = yes || f.Name == name })
	return yes
}
