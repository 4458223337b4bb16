package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-eventhubs/eventhubs/torture/judge"
)

// A report is what a run says at its end.
type report struct {
	Seed      uint64
	Build     string
	Plain     bool // without faults of packets
	Machine   string
	Lasted    time.Duration
	PerSecond float64 // events read
	Faults    []faultReport
	Acted     int // all together
	KindsMade int // of which at least one acted
	Verdict   *judge.Verdict
	JudgePeak uint64                   // bytes
	Processor map[string]time.Duration // time, by the roles of the processes
	Failure   string                   `json:",omitempty"`
}

// A faultReport has the figures of a kind.
type faultReport struct {
	Kind  string
	Layer layer
	Asked int
	judge.Recovery
}

func (d *driver) report(lasted time.Duration, failure error) *report {
	r := &report{Seed: d.options.seed, Build: build(), Plain: d.options.plain, Machine: fmt.Sprintf("%s/%s, %d processors", runtime.GOOS, runtime.GOARCH, runtime.NumCPU()), Lasted: lasted, Verdict: d.verdict, JudgePeak: d.peak, Processor: d.processors}
	if failure != nil {
		r.Failure = failure.Error()
	}
	for _, k := range kinds {
		if d.options.kills > 0 && d.log.asked[k.name] == 0 {
			continue
		}
		f := faultReport{Kind: k.name, Layer: k.layer, Asked: d.log.asked[k.name]}
		f.Acted = d.log.acted[k.name]
		if d.verdict != nil {
			f.Recovery = d.verdict.Recoveries[k.name]
		}
		r.Acted += f.Acted
		if f.Acted > 0 {
			r.KindsMade++
		}
		r.Faults = append(r.Faults, f)
	}
	if d.verdict != nil {
		r.PerSecond = float64(d.verdict.Totals.Read) / lasted.Seconds()
	}
	return r
}

// idle are the kinds of which no fault acted.
func (r *report) idle() (names []string) {
	for _, f := range r.Faults {
		if f.Acted == 0 {
			names = append(names, f.Kind)
		}
	}
	return names
}

// ok says whether the run found nothing wrong.
func (r *report) ok() bool { return r.Failure == "" && r.Verdict != nil && len(r.Verdict.Wrong) == 0 }

// build is the revision that the program was built of, and by which Go.
func build() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return runtime.Version()
	}
	revision := "unknown revision"
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = s.Value
		}
	}
	return revision + ", " + runtime.Version()
}

func (r *report) writeJSON(out io.Writer) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

func (r *report) write(out io.Writer) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(t, format+"\n", args...) }
	p("seed %d, %s, %s, %v", r.Seed, r.Machine, r.Build, r.Lasted.Round(time.Second))
	p("\nfault\tlayer\tasked\tacted\ttry failed\trecovery: median\tp99\tworst")
	for _, f := range r.Faults {
		p("%s\t%s\t%d\t%d\t%d\t%s\t%s\t%s", f.Kind, f.Layer, f.Asked, f.Acted, f.Failed, short(f.Median), short(f.P99), short(f.Worst))
	}
	_ = t.Flush()
	if idle := r.idle(); len(idle) > 0 {
		p("\nNever acted: %s.", strings.Join(idle, ", "))
	}
	if v := r.Verdict; v != nil {
		r.writeVerdict(p, v)
	}
	if r.Failure != "" {
		p("\nThe run failed: %s", r.Failure)
	}
	if r.ok() {
		p("\nNothing wrong: %d events, %d faults of %d kinds.", r.Verdict.Totals.Read, r.Acted, r.KindsMade)
	}
	_ = t.Flush()
}

func (r *report) writeVerdict(p func(string, ...any), v *judge.Verdict) {
	n := &v.Totals
	p("\n%d faults of %d kinds acted; %d tries failed.", r.Acted, r.KindsMade, n.FailedTries)
	p("%d events read, %.0f a second, of %d lives in %d batches; the judge had at most %d MB.", n.Read, r.PerSecond, n.Lives, n.Batches, r.JudgePeak>>20)
	for _, role := range slices.Sorted(maps.Keys(r.Processor)) {
		p("%s: %v of processor time, %.1f µs an event", role, r.Processor[role].Round(time.Second/10), float64(r.Processor[role].Microseconds())/float64(n.Read))
	}
	p("events\tnumber\tof these in the hub")
	p("enqueued\t%d\t%d", n.Enqueued, n.Stored)
	p("refused by Enqueue\t%d\t", n.Refused)
	p("reported stored\t%d\t", n.ReportedStored)
	p("reported not stored\t%d\t", n.ReportedNotStored)
	p("reported possibly stored\t%d\t%d", n.ReportedPossibly, n.PossiblyStored)
	p("never reported, of a life that was killed\t%d\t%d", n.Unreported, n.UnreportedStored)
	p("stored again\t%d\t", n.Again)
	p("late, reported possibly stored or never reported\t%d\t", n.Late)
	p("kept in a journal\t%d\t", n.Kept)
	p("reported not stored by a life that was killed, then stored\t%d\t", n.Changed)
	p("times that a journal was full\t%d\t", n.Full)
	p("reported fenced, of %d lives\t%d\t", n.FencedLives, n.FencedEvents)
	p("Deliveries compared\t%d\t", n.Deliveries)
	if k := v.Kills; k.Lives > 0 {
		p("\n%d kills of producers with a journal: %d between an Enqueue and its acknowledgement, of these %d in a call of Enqueue.", k.Lives, k.Between, k.Within)
	}
	if len(v.Duplicates.ByFault)+int(v.Duplicates.Forgotten+v.Duplicates.Revived) > 0 {
		p("\nstored again, by the latest fault that may be the cause\tevents")
		for _, k := range slices.Sorted(maps.Keys(v.Duplicates.ByFault)) {
			p("%s\t%d", k, v.Duplicates.ByFault[k])
		}
		p("%s, of idempotent producers\t%d", forget, v.Duplicates.Forgotten)
		p("%s, not again but by a life that was replaced\t%d", forget, v.Duplicates.Revived)
	}
	if len(v.Late) > 0 {
		p("\nlate, for example")
		for _, e := range v.Late {
			p("  %s", e)
		}
	}
	if len(v.Codes) > 0 {
		p("\nnot stored, or possibly, by the producer's word\tevents")
		for _, k := range slices.Sorted(maps.Keys(v.Codes)) {
			p("%s\t%d", k, v.Codes[k])
		}
	}
	if len(v.Growths) > 0 {
		p("\nlonger lives: what a fitted line says")
		for _, g := range v.Growths {
			p("%v", &g)
		}
	}
	if len(v.Wrong) > 0 {
		p("\nWRONG\ttimes")
		for _, k := range slices.Sorted(maps.Keys(v.Wrong)) {
			p("%s\t%d", k, v.Wrong[k])
		}
		for _, e := range v.Examples {
			p("  %s", e)
		}
	}
}

func short(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return d.Round(time.Millisecond).String()
}
