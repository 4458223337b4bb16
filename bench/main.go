package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if role := os.Getenv(roleVariable); role != "" {
		if err := runRole(ctx, role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// A choice has the values of the flags.
type choice struct {
	rows     *regexp.Regexp
	peers    []string // empty: all
	sizes    []int
	repeats  int
	check    bool
	short    bool
	plot     bool
	list     bool
	load     string
	save     string
	charts   string
	profiles string
	warm     time.Duration
	measure  time.Duration
	foreign  float64
	before   string
	dir      string
	backlog  int64
	loaded   book // from -load
}

// run is the command. It returns 0 on success (with -check, if every target holds), 1 otherwise,
// and 2 for invalid args.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	case c.list:
		listAll(stdout)
		return 0
	}
	ok, err := c.execute(ctx, stdout, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
	}
	if err != nil || !ok {
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (*choice, error) {
	c := &choice{}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	rows := flags.String("rows", "", "measure only the groups whose name matches this `regexp`; see -list")
	peerList := flags.String("peers", "", "measure only these peers, separated by commas; see -list")
	sizes := flags.String("sizes", "100,1000,10000", "sizes of bodies in bytes, separated by commas")
	flags.IntVar(&c.repeats, "repeats", 5, "number of turns for each scenario")
	flags.DurationVar(&c.warm, "warm", 500*time.Millisecond, "time that each run publishes before its measurement")
	flags.DurationVar(&c.measure, "duration", 1500*time.Millisecond, "time of each measurement; some scenarios need more")
	flags.Float64Var(&c.foreign, "foreign", 0.3, "repeat a run, up to three times, if others (processes or virtual machines) used more than so many `cores`")
	flags.BoolVar(&c.check, "check", false, "measure the scenarios of the targets, and print each target with its figure")
	flags.BoolVar(&c.short, "short", false, "with -check: only what a shared machine can show in less than a minute")
	flags.BoolVar(&c.plot, "plot", false, "also write the charts")
	flags.StringVar(&c.charts, "charts", "../docs/benchmarks", "the `directory` for charts")
	flags.StringVar(&c.save, "save", "", "write the measurements to this `file`")
	flags.StringVar(&c.load, "load", "", "load this `file`, and measure only the rest")
	flags.StringVar(&c.profiles, "profiles", "", "write profiles of each client and server to this `directory`")
	flags.StringVar(&c.before, "before", beforeCommit, "the `commit` for the peer before")
	flags.StringVar(&c.dir, "directory", "", "a `directory` on the disk for the journals of runs; default: the system's for temporary files")
	flags.Int64Var(&c.backlog, "backlog", 1000, "`megabytes` of the backlog that is drained")
	flags.BoolVar(&c.list, "list", false, "list the groups and the peers")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	var err error
	if c.rows, err = regexp.Compile(*rows); err != nil {
		return nil, fmt.Errorf("-rows: %w", err)
	}
	for name := range strings.FieldsFuncSeq(*peerList, isComma) {
		if peerNamed(name) == nil {
			return nil, fmt.Errorf("-peers: there is no peer %q; there are %s", name, strings.Join(peerNames(), ", "))
		}
		c.peers = append(c.peers, name)
	}
	for text := range strings.FieldsFuncSeq(*sizes, isComma) {
		size, err := strconv.Atoi(text)
		if err != nil || size < 1 || size > largestBody {
			return nil, fmt.Errorf("-sizes: %q is not between 1 and %d", text, largestBody)
		}
		c.sizes = append(c.sizes, size)
	}
	if c.short && !c.check {
		return nil, errors.New("-short is for -check only")
	}
	if c.backlog < 1 {
		return nil, fmt.Errorf("-backlog is %d; it must be at least 1", c.backlog)
	}
	if c.repeats < 1 {
		return nil, fmt.Errorf("-repeats is %d; it must be at least 1", c.repeats)
	}
	if c.short {
		c.warm, c.measure, c.repeats = 200*time.Millisecond, 500*time.Millisecond, min(c.repeats, 3)
		c.foreign = float64(runtime.NumCPU()) // a shared machine is never quiet
	}
	return c, nil
}

// beforeCommit is the last commit with a producer on go-amqp.
const beforeCommit = "21ac009"

func isComma(r rune) bool { return r == ',' || r == ' ' }

func listAll(w io.Writer) {
	fmt.Fprintln(w, "Groups (-rows):")
	for _, g := range groups {
		fmt.Fprintf(w, "  %-18s %s\n", g.name, g.title)
	}
	fmt.Fprintln(w, "Peers (-peers):")
	for _, p := range peers {
		fmt.Fprintf(w, "  %-18s %s\n", p.name, strings.ReplaceAll(p.title, "**", ""))
	}
}

// execute measures, and reports whether all is well.
func (c *choice) execute(ctx context.Context, stdout, stderr io.Writer) (ok bool, err error) {
	b := make(book)
	if c.load != "" {
		if c.loaded, err = loadBook(c.load); err != nil {
			return false, err
		}
		maps.Copy(b, c.loaded)
	}
	backlogBytes = c.backlog * 1e6
	r := &runner{warm: c.warm, measure: c.measure, profiles: c.profiles, directory: c.dir, foreign: c.foreign, log: stderr, skipped: make(map[string]error), prepared: make(map[string]*program), before: c.before}
	fmt.Fprintf(stdout, "%s, %s/%s, %d CPUs; medians of %d turns.\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), c.repeats)
	ok = true
	if c.check {
		ok, err = c.checkTargets(ctx, r, b, stdout)
	} else {
		err = c.measureGroups(ctx, r, b, stdout)
	}
	for name, reason := range r.skipped {
		if reason != nil {
			fmt.Fprintf(stdout, "\nThe peer %s is absent: %v\n", name, reason)
		}
	}
	fmt.Fprintf(stdout, "\nOther processes and virtual machines used up to %.1f cores during a run.\n", b.foreign())
	if c.save != "" {
		err = errors.Join(err, b.save(c.save))
	}
	if c.plot {
		err = errors.Join(err, writeCharts(c.charts, b))
	}
	return ok, err
}

func (c *choice) checkTargets(ctx context.Context, r *runner, b book, stdout io.Writer) (ok bool, err error) {
	list := targets()
	if c.short {
		list = shortTargets()
	}
	ok = true
	for _, t := range list {
		if !c.rows.MatchString(t.number) {
			continue
		}
		one := []target{t}
		own, err := c.measureTogether(ctx, r, b, "target "+t.number, needed(one))
		if err != nil {
			return false, err
		}
		ok = judge(stdout, own, one, r.skipped) && ok
	}
	return ok, nil
}

func (c *choice) measureGroups(ctx context.Context, r *runner, b book, stdout io.Writer) error {
	for _, g := range groups {
		if !c.rows.MatchString(g.name) {
			continue
		}
		var scenarios []scenario
		for _, size := range c.sizes {
			for _, s := range g.scenarios(size) {
				if len(c.peers) == 0 || slices.Contains(c.peers, s.Peer) {
					scenarios = append(scenarios, s)
				}
			}
		}
		own, err := c.measureTogether(ctx, r, b, g.name, scenarios)
		if err != nil {
			return err
		}
		writeTable(stdout, own, &g, c.sizes)
	}
	return nil
}

// measureTogether measures scenarios that are compared with each other, and adds them to the book.
// It repeats measurements of other tables, since a ratio is valid only within a turn. It does not
// repeat measurements loaded from a file.
func (c *choice) measureTogether(ctx context.Context, r *runner, b book, name string, scenarios []scenario) (book, error) {
	own := maps.Clone(c.loaded)
	if own == nil {
		own = make(book)
	}
	if err := r.measureAll(ctx, own, name, scenarios, c.repeats); err != nil {
		return nil, err
	}
	maps.Copy(b, own)
	return own, nil
}
