package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/capacity"
	"github.com/go-eventhubs/eventhubs/internal/defaults"
)

const planHelp = `Calculates the Event Hubs capacity and the producer options that a stream of events needs.

Usage:
  eventhubs plan --events-per-second N --bytes N [options]

Options:
  --events-per-second N     events at the busiest time, all processes together
  --bytes N                 body of one event, on average, up to 20 MB, as a dedicated cluster takes
  --processes N             processes that publish (default 1)
  --readers N               consumer groups that read everything (default 1)
  --latency DURATION        from sending a batch to its acknowledgement (default 20ms)
  --linger DURATION         MaxWaitTime: how long an event may wait for others (default 250ms)
  --outage DURATION         how long the buffer must hold events during an outage (default 10s)
  --offline DURATION        how long a journal must hold events without the hub, such as 72h (default:
                            no journal)
  --units N                 throughput units that the namespace has (default 1.5 times the need)
  --output text|json        json: one object with figures and assumptions. A figure has name, value,
                            because and source

The command asks no service. It uses Event Hubs' published figures and this producer's measured
ones. The text names the figures and the assumptions.

Exit status: 0 done; 2 wrong command line.

Examples:
  eventhubs plan --events-per-second 5000 --bytes 800
  eventhubs plan --events-per-second 200000 --bytes 300 --processes 40 --readers 3 --output json
  eventhubs plan --events-per-second 30000 --bytes 800 --processes 1200 --units 40 --outage 10m
  eventhubs plan --events-per-second 50 --bytes 400 --offline 72h
`

// never is the unit of a time that does not come; the figure has no value.
const never = "never"

// Figures that Event Hubs publishes, and the pages that have them.
const (
	quotasPage      = "learn.microsoft.com/azure/event-hubs/event-hubs-quotas"
	scalabilityPage = "learn.microsoft.com/azure/event-hubs/event-hubs-scalability"

	unitIngressBytes  = 1e6 // a second, for each throughput unit; a partition takes about as much
	unitIngressEvents = 1000
	unitEgressBytes   = 2e6
	unitEgressEvents  = 4096

	standardUnits       = 40
	standardPartitions  = 32
	standardConnections = 5000

	// dedicatedMessageBytes is the 20 MB that a link of a dedicated cluster takes.
	dedicatedMessageBytes = 20_000_000
)

// Figures of this producer.
const (
	// eventOverhead is the size of an event with a short key and no properties, without its body.
	eventOverhead = 50

	// linkBytes is the memory of an open link. processBytes is the memory of a process with a
	// connection before its first event. Both are measured.
	linkBytes    = 8 << 10
	processBytes = 10 << 20

	// journalOverhead is what the journal keeps of an event besides its encoded form: idempotent
	// numbers, the record, and publish's place in a file with a name of 80 bytes. It is measured.
	journalOverhead = 200
	journalSegment  = 64 << 20

	// From farLatency on, lost packets bound the throughput, as measured.
	farLatency = 40 * time.Millisecond

	// The plan warns about batches with fewer events than thinBatch, if there are more than
	// manyBatches of them a second.
	thinBatch   = 10
	manyBatches = 100
)

// planOptions are the arguments of plan.
type planOptions struct {
	eventsPerSecond         float64
	bytes                   float64
	processes, readers      int
	units                   int // 0: 1.5 times the need
	latency, linger, outage time.Duration
	offline                 time.Duration // 0: no journal
	json                    bool
}

func parsePlan(args []string) (*planOptions, error) {
	opts := &planOptions{}
	var output string
	flags := newFlagSet("plan")
	flags.Float64Var(&opts.eventsPerSecond, "events-per-second", 0, "")
	flags.Float64Var(&opts.bytes, "bytes", 0, "")
	flags.IntVar(&opts.processes, "processes", 1, "")
	flags.IntVar(&opts.readers, "readers", 1, "")
	flags.DurationVar(&opts.latency, "latency", 20*time.Millisecond, "")
	flags.DurationVar(&opts.linger, "linger", defaults.MaxWaitTime, "")
	flags.DurationVar(&opts.outage, "outage", 10*time.Second, "")
	flags.DurationVar(&opts.offline, "offline", 0, "")
	flags.IntVar(&opts.units, "units", 0, "")
	flags.StringVar(&output, "output", "text", "")
	others, err := parseFlags(flags, args)
	if err != nil {
		return nil, err
	}
	given := givenFlags(flags)
	opts.json = output == "json"
	const most = 1e12 // more is no plan
	switch {
	case len(others) > 0:
		return nil, badInput("unexpected argument %q; see \"eventhubs plan --help\"", others[0])
	case output != "text" && output != "json":
		return nil, badInput("--output is %q; it must be text or json", output)
	case !given["events-per-second"] || !given["bytes"]:
		return nil, badInput("both --events-per-second and --bytes are needed: the number of events at the busiest time, and the size of one event's body")
	case !(opts.eventsPerSecond > 0 && opts.eventsPerSecond <= most): // false for NaN
		return nil, badInput("--events-per-second is %v; give the number of events at the busiest time", opts.eventsPerSecond)
	case !(opts.bytes > 0 && opts.bytes <= dedicatedMessageBytes-envelopeBytes):
		return nil, badInput("--bytes is %v; give the size of one event's body, at most %d: a dedicated cluster takes 20 MB", opts.bytes, dedicatedMessageBytes-envelopeBytes)
	case opts.processes < 1 || opts.processes > 1e6:
		return nil, badInput("--processes is %d; it must be from 1 to 1000000", opts.processes)
	case opts.readers < 0 || opts.readers > 1000:
		return nil, badInput("--readers is %d; it must be from 0 to 1000", opts.readers)
	case opts.latency <= 0 || opts.latency > time.Minute:
		return nil, badInput("--latency is %v; it must be more than 0, and at most 1m", opts.latency)
	case opts.linger < 0 || opts.linger > time.Hour:
		return nil, badInput("--linger is %v; it must be from 0 to 1h", opts.linger)
	case given["units"] && (opts.units < 1 || opts.units > 1e6):
		return nil, badInput("--units is %d; it must be from 1 to 1000000", opts.units)
	case opts.outage < 0 || opts.outage > 24*time.Hour:
		return nil, badInput("--outage is %v; it must be from 0 to 24h", opts.outage)
	case given["offline"] && (opts.offline <= 0 || opts.offline > 366*24*time.Hour):
		return nil, badInput("--offline is %v; it must be more than 0, and at most 8784h", opts.offline)
	}
	return opts, nil
}

func runPlan(_ context.Context, p *process, args []string) error {
	opts, err := parsePlan(args)
	if err != nil {
		return err
	}
	made := makePlan(opts)
	if opts.json {
		encoder := json.NewEncoder(p.stdout)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(made)
	}
	return made.writeText(p.stdout)
}

// A plan is the result of plan. Its fields are the JSON output, in this order.
type plan struct {
	Figures     []figure `json:"figures"`
	Assumptions []string `json:"assumptions"`
}

// A figure is one result, with its reason.
type figure struct {
	Name    string  `json:"name"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit,omitempty"`
	Because string  `json:"because"`
	Source  string  `json:"source,omitempty"` // of the figures that it uses
}

func (p *plan) add(name string, value float64, unit, source, because string, args ...any) {
	p.Figures = append(p.Figures, figure{name, value, unit, fmt.Sprintf(because, args...), source})
}

func makePlan(o *planOptions) *plan {
	p := &plan{}
	size := o.bytes + eventOverhead
	bytes := size * o.eventsPerSecond
	p.add("ingress", math.Round(bytes/1e3)/1e3, "MB/s", "", "%s events/s of %s bytes, plus %d bytes each for key and headers", amount(o.eventsPerSecond), amount(o.bytes), eventOverhead)
	if o.isDedicated() {
		p.add("largest message", dedicatedMessageBytes, "bytes", quotasPage, "an event of %s bytes is beyond the %d of most tiers: only a dedicated cluster takes it; \"eventhubs check\" asks your hub's link", amount(o.bytes), maxEventBytes)
	}
	p.capacity(o, bytes)
	partitions := p.partitions(o, bytes)
	p.batches(o, size, partitions)
	p.buffer(o, size, partitions)
	p.journal(o, size)
	p.together(o)
	p.delivery(o)
	p.Assumptions = []string{
		fmt.Sprintf("an event has %d bytes besides its body: a short key, no properties", eventOverhead),
		"keys spread the events evenly over the partitions, and the load evenly over the processes",
		fmt.Sprintf("a batch is acknowledged after %v", o.latency),
		"one batch of a partition is in flight at a time (MaxConcurrentSendsPerPartition 1)",
		"the service counts bytes as they are sent; its documentation is not exact about this",
		"these figures have never been compared with the real service: watch its metrics of throttled requests",
	}
	if o.latency >= farLatency {
		p.Assumptions = append(p.Assumptions, "no packets are lost on the way: with a round trip of 80ms and 0.1 % of them lost, a connection carried 0.8 MB/s with Linux' default congestion control, cubic, and 4 to 20 MB/s with BBR (docs/wire.md)")
	}
	if o.processes > 1 {
		p.Assumptions = append(p.Assumptions, "start, back, caught up and the buffer of many processes are formulas, which a simulation agrees with (docs/operations.md)")
	}
	return p
}

// capacity adds the number of throughput units.
func (p *plan) capacity(o *planOptions, bytes float64) {
	units, why := 0.0, ""
	for _, need := range []struct {
		value float64
		why   string
	}{
		{bytes / unitIngressBytes, "ingress in bytes, 1 MB/s each"},
		{o.eventsPerSecond / unitIngressEvents, "ingress in events, 1000/s each"},
		{bytes * float64(o.readers) / unitEgressBytes, fmt.Sprintf("egress to %d readers in bytes, 2 MB/s each", o.readers)},
		{o.eventsPerSecond * float64(o.readers) / unitEgressEvents, fmt.Sprintf("egress to %d readers in events, 4096/s each", o.readers)},
	} {
		if need.value > units {
			units, why = need.value, need.why
		}
	}
	units = math.Ceil(units)
	if units > standardUnits {
		why += fmt.Sprintf("; the Standard tier has at most %d: use Premium or Dedicated", standardUnits)
	}
	p.add("throughput units", units, "", scalabilityPage, "%s", why)
}

// partitions adds the number of partitions, and returns it.
func (p *plan) partitions(o *planOptions, bytes float64) float64 {
	n := max(1, math.Ceil(max(bytes/unitIngressBytes, o.eventsPerSecond/unitIngressEvents)))
	why := "each takes about one throughput unit; more partitions let more consumers share the work, but cannot be removed later"
	if n > standardPartitions {
		why += fmt.Sprintf("; a hub of the Standard tier has at most %d: use Premium or Dedicated, or several hubs", standardPartitions)
	}
	p.add("partitions", n, "at least", quotasPage, "%s", why)
	return n
}

// isDedicated reports whether only a dedicated cluster takes an event of this size.
func (o *planOptions) isDedicated() bool { return o.bytes > maxEventBytes }

// messageBytes returns how large a message may be on the tier that takes the events.
func (o *planOptions) messageBytes() float64 {
	if o.isDedicated() {
		return dedicatedMessageBytes
	}
	return standardMessageBytes
}

// batches adds figures about the batches.
func (p *plan) batches(o *planOptions, size, partitions float64) {
	// Each open link may have half of its even share of the buffer in one batch. So one batch can
	// be in flight while the next fills.
	most := min(o.messageBytes(), max(defaults.LeastBatchBytes, math.Floor(o.bufferBytes(size)/(2*partitions))))
	limit := max(1, math.Floor(most/size))
	// The rate is in events/s, of one process in one partition.
	rate := o.eventsPerSecond / float64(o.processes) / partitions
	wait := max(o.linger, o.latency).Seconds()
	events := min(limit, 1+math.Floor(rate*wait))
	perSecond := rate / events * partitions * float64(o.processes)
	if events == limit {
		p.add("events per batch", events, "", quotasPage, "no more fit into %s bytes; batches are full before they have waited %v", amount(most), o.linger)
	} else {
		why := fmt.Sprintf("each partition of a process gets %s events/s, and a batch waits %v after its first event", amount(rate), max(o.linger, o.latency))
		if events < thinBatch && perSecond > manyBatches {
			why += "; that is few: let events wait longer (--linger), publish from fewer processes, or, without keys, use Sticky or ServiceAssigned"
		}
		p.add("events per batch", events, "", "", "%s", why)
	}
	why := fmt.Sprintf("of at most %s bytes", amount(most))
	if most < o.messageBytes() {
		why += fmt.Sprintf(": MaxBufferedBytes / (2 × %s links)", amount(partitions))
	}
	p.add("batch", math.Round(events*size/100)/10, "kB", "", "%s", why)
	p.add("batches", math.Round(perSecond*10)/10, "per second", "", "all partitions and processes together; each is one message and one acknowledgement")
	if fastest := limit * size / o.latency.Seconds(); rate*size > fastest {
		p.add("partition limit", math.Round(fastest/1e4)/100, "MB/s", "", "a partition carries at most one full batch in %v: use more partitions, or give up the order with MaxConcurrentSendsPerPartition", o.latency)
	}
}

// heldEvents returns how many events one process holds because of an outage, a linger and a round
// trip.
func (o *planOptions) heldEvents() float64 {
	events := o.eventsPerSecond / float64(o.processes) * (o.linger + o.latency).Seconds()
	if o.recovers() {
		events += o.fleet().Held(o.outage)
	} else {
		events += o.eventsPerSecond / float64(o.processes) * o.outage.Seconds()
	}
	return math.Ceil(events)
}

// bufferedEvents returns the bound of the buffer in events, at least the default.
func (o *planOptions) bufferedEvents() float64 {
	return max(defaults.MaxBufferedEvents, o.heldEvents())
}

// recovers reports whether many processes come back from an outage together.
func (o *planOptions) recovers() bool { return o.processes > 1 && o.outage > 0 }

// fleet returns the processes and what the namespace takes of their events.
func (o *planOptions) fleet() capacity.Fleet {
	size := o.bytes + eventOverhead
	units := float64(o.units)
	if units == 0 {
		units = math.Ceil(1.5 * o.eventsPerSecond * max(1.0/unitIngressEvents, size/unitIngressBytes))
	}
	return capacity.Fleet{Producers: o.processes, Load: o.eventsPerSecond, Capacity: units * min(unitIngressEvents, unitIngressBytes/size)}
}

// bufferBytes returns the bytes of these events, in whole MiB, and at least the default.
func (o *planOptions) bufferBytes(size float64) float64 {
	return max(defaults.MaxBufferedBytes, math.Ceil(o.heldEvents()*size/(1<<20))*(1<<20))
}

// buffer adds the bounds of the producer's buffer, and its memory.
func (p *plan) buffer(o *planOptions, size, partitions float64) {
	events := o.bufferedEvents()
	why := "what one process accepts in %v: the outage, a linger and a round trip"
	span := o.outage + o.linger + o.latency
	if o.recovers() {
		why = "what one process holds at most after %v: one and a half outages, the time until it is back, a linger and a round trip"
		span = o.outage
	}
	if events == defaults.MaxBufferedEvents {
		why = "the default holds what one process accepts in %v"
	}
	p.add("MaxBufferedEvents", events, "", "", why, span)
	bytes := o.bufferBytes(size)
	why = "those events, %s bytes each"
	if bytes == defaults.MaxBufferedBytes {
		why = "the default holds those events, %s bytes each"
	}
	p.add("MaxBufferedBytes", bytes, "", "", why, amount(size))
	used := min(bytes, events*size)
	memory := processBytes + used + partitions*linkBytes
	p.add("memory", math.Ceil(memory/(1<<20)), "MiB", "", "of one process at worst: %d MiB for the process, its buffer, and for each of its %s links %d KiB; Go's garbage collector may take as much again",
		processBytes>>20, amount(partitions), linkBytes>>10)
}

// journal adds the disk that a journal needs.
func (p *plan) journal(o *planOptions, size float64) {
	if o.offline == 0 {
		return
	}
	events := o.eventsPerSecond / float64(o.processes) * o.offline.Seconds()
	bytes := events * (size + journalOverhead)
	p.add("journal", math.Ceil(bytes/1e7)/100, "GB", "", "what one process accepts in %v: %s events of %s bytes, each with %d more for its numbers, its record and its place in the input", o.offline, amount(events), amount(size), journalOverhead)
	most := (math.Ceil(bytes/journalSegment) + 2) * journalSegment
	p.add("MaxBytes", most, "", "", "JournalOptions.MaxBytes, or --journal-max: whole files of 64 MiB, of them two that are always free. KeepFree, 1 GiB, comes on top")
	fleet := o.fleet()
	if fleet.Capacity > fleet.Load {
		p.add("sent", math.Ceil(o.offline.Seconds()*fleet.Load/(fleet.Capacity-fleet.Load)/60), "min", scalabilityPage, "the events of %v, by what the namespace takes beyond the stream: %s − %s events/s", o.offline, amount(fleet.Capacity), amount(fleet.Load))
	} else {
		p.add("sent", 0, never, scalabilityPage, "the namespace takes %s events/s, and no fewer come: add throughput units", amount(fleet.Capacity))
	}
}

// together adds what many processes need of a namespace.
func (p *plan) together(o *planOptions) {
	why := "one for each process"
	if o.processes > standardConnections {
		why += fmt.Sprintf("; the Standard tier has at most %d", standardConnections)
	}
	p.add("connections", float64(o.processes), "", quotasPage, "%s", why)
	fleet := o.fleet()
	if start := fleet.Start(); start > 0 {
		p.add("start", math.Ceil(start.Seconds()), "s", quotasPage, "if all start at once: a namespace answers %d questions about partitions a second, and a refused process waits", capacity.ManagementCalls)
	}
	if !o.recovers() {
		return
	}
	p.add("back", math.Ceil(fleet.Back(o.outage).Seconds()), "s at most", "", "from the end of an outage of %v until each process stores events again: twice the longest pause, and a throttled try", o.outage)
	work, catchesUp := fleet.CatchUp(o.outage)
	if !catchesUp {
		p.add("caught up", 0, never, scalabilityPage, "the namespace takes %s events/s, and no fewer come: add throughput units", amount(fleet.Capacity))
		return
	}
	p.add("caught up", math.Ceil(work.Seconds()), "s", scalabilityPage, "the events of %v, stored by what the namespace takes beyond the stream: %s − %s events/s", o.outage, amount(fleet.Capacity), amount(fleet.Load))
}

// delivery adds the DeliveryTimeout that an outage needs, if that is more than the default.
func (p *plan) delivery(o *planOptions) {
	fleet := o.fleet()
	work, catchesUp := fleet.CatchUp(o.outage)
	if needs := fleet.DeliveryTimeout(o.outage); catchesUp && needs > defaults.DeliveryTimeout {
		p.add("DeliveryTimeout", math.Ceil(needs.Seconds()), "s at least", "", "the outage, then the longer of %v to be back and 1.25 times %v to catch up: with the default of %v events fail",
			fleet.Back(o.outage), work.Round(time.Second), defaults.DeliveryTimeout)
	}
}

// amount formats a number for people.
func amount(n float64) string {
	if n >= 100 || n == math.Trunc(n) {
		return strconv.FormatFloat(math.Round(n), 'f', 0, 64)
	}
	return strconv.FormatFloat(n, 'g', 3, 64)
}

func (p *plan) writeText(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	sources := map[string]int{}
	var pages []string
	for _, f := range p.Figures {
		note := ""
		if f.Source != "" {
			if sources[f.Source] == 0 {
				pages = append(pages, f.Source)
				sources[f.Source] = len(pages)
			}
			note = fmt.Sprintf(" [%d]", sources[f.Source])
		}
		value := strconv.FormatFloat(f.Value, 'f', -1, 64) + " "
		if f.Unit == never {
			value = ""
		}
		fmt.Fprintf(table, "%s\t%s%s\t%s%s\n", f.Name, value, f.Unit, f.Because, note)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	var rest strings.Builder
	rest.WriteString("\nAssumed:\n")
	for _, a := range p.Assumptions {
		rest.WriteString("  " + a + "\n")
	}
	rest.WriteString("\n")
	for i, page := range pages {
		fmt.Fprintf(&rest, "[%d] %s\n", i+1, page)
	}
	_, err := io.WriteString(w, rest.String())
	return err
}
