package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// A book has the measurements: for each scenario one for each turn, in the order of the turns.
type book map[scenario][]*measurement

// measureAll runs the scenarios in turns, so many times, and adds the measurements. It leaves out
// scenarios with an absent peer, and those that are already in the book. The name is for the log.
func (r *runner) measureAll(ctx context.Context, b book, name string, scenarios []scenario, repeats int) error {
	var wanted []scenario
	for _, s := range scenarios {
		if err := r.absent(ctx, peerNamed(s.Peer)); err != nil {
			continue
		}
		if len(b[s]) == 0 && !slices.Contains(wanted, s) {
			wanted = append(wanted, s)
		}
	}
	wanted, together := apart(wanted)
	for _, list := range together {
		fmt.Fprintf(r.log, "%s: %d turns of %d scenarios in one process\n", name, sliceTurns, len(list))
		slices, err := r.runInTurns(ctx, list, sliceTurns)
		if err != nil {
			return fmt.Errorf("%v and others, in turns: %w", &list[0], err)
		}
		for i, s := range list {
			b[s] = slices[i]
		}
	}
	for turn := range repeats {
		if len(wanted) > 0 {
			fmt.Fprintf(r.log, "%s: turn %d of %d, %d runs\n", name, turn+1, repeats, len(wanted))
		}
		for _, s := range wanted {
			if r.skipped[s.Peer] != nil {
				continue
			}
			m, err := r.runQuietly(ctx, s)
			if err != nil && peerNamed(s.Peer).foreign() && ctx.Err() == nil {
				// Another project's client that fails must not end the measurement of ours.
				r.skipped[s.Peer] = err
				continue
			}
			if err != nil {
				return err
			}
			b[s] = append(b[s], m)
		}
	}
	return nil
}

// apart returns the scenarios that have runs of their own, and those that share one, by their size.
func apart(scenarios []scenario) (alone []scenario, together [][]scenario) {
	for _, s := range scenarios {
		if s.Kind != inTurns {
			alone = append(alone, s)
			continue
		}
		i := slices.IndexFunc(together, func(list []scenario) bool { return list[0].Size == s.Size })
		if i < 0 {
			i, together = len(together), append(together, nil)
		}
		together[i] = append(together[i], s)
	}
	return alone, together
}

// A figure returns one number of a measurement; false if there is none.
type figure func(*measurement) (float64, bool)

// The figures.
var (
	eventsPerSecond figure = func(m *measurement) (float64, bool) { return float64(m.Events) / m.Seconds, true }
	bytesPerSecond  figure = func(m *measurement) (float64, bool) { return float64(m.Bytes) / m.Seconds, true }
	cpuPerEvent     figure = func(m *measurement) (float64, bool) {
		return float64(m.CPU.Nanoseconds()) / float64(m.Events), m.Events > 0
	}
	secondsPerEvent figure = func(m *measurement) (float64, bool) { return m.Seconds / float64(m.Events), m.Events > 0 }
	cpuSeconds      figure = func(m *measurement) (float64, bool) { return m.CPU.Seconds(), true }
	allocsPerEvent  figure = func(m *measurement) (float64, bool) {
		return float64(m.Mallocs) / float64(m.Events), m.Mallocs >= 0 && m.Events > 0
	}
	peakBytes      figure = func(m *measurement) (float64, bool) { return float64(m.PeakRSS), true }
	eventsPerBatch figure = func(m *measurement) (float64, bool) { return float64(m.Stored) / float64(m.Batches), m.Batches > 0 }
	callTime       figure = func(m *measurement) (float64, bool) { return m.CallCPU, m.CallCPU > 0 }
	serverCPU      figure = func(m *measurement) (float64, bool) {
		return float64(m.ServerCPU.Nanoseconds()) / float64(m.Sent), m.Sent > 0
	}
	allocatedPerByte figure = func(m *measurement) (float64, bool) {
		return float64(m.Allocated) / float64(m.Bytes), m.Allocated >= 0 && m.Bytes > 0
	}
	boundBy figure = func(m *measurement) (float64, bool) { return m.bound(), m.Cores > 0 && m.Sent > 0 && m.Seconds > 0 }
	p50     figure = func(m *measurement) (float64, bool) { return m.P50.Seconds() * 1e3, m.P50 > 0 }
	p99     figure = func(m *measurement) (float64, bool) { return m.P99.Seconds() * 1e3, m.P99 > 0 }
	p999    figure = func(m *measurement) (float64, bool) { return m.P999.Seconds() * 1e3, m.P999 > 0 }
)

// The bounds of a run's events per second.
const (
	boundByClient = 0 // or by waiting
	boundByServer = 1 // the server serves a connection on one core
	boundByCores  = 2 // client and server together use all cores
)

// busy is the load, as a share of a core or of all, that counts as the bound of a run. The last
// tenth goes to switches and interrupts.
const busy = 0.9

// bound returns what bounds the events per second of a run.
func (m *measurement) bound() float64 {
	client := m.CPU.Seconds() / m.Seconds
	server := m.ServerCPU.Seconds() * float64(m.Events) / float64(m.Sent) / m.Seconds
	switch {
	case client+server+m.Foreign >= busy*m.Cores:
		return boundByCores
	case server >= busy:
		return boundByServer
	default:
		return boundByClient
	}
}

func boundText(v float64) string {
	switch {
	case v > boundByServer:
		return "cores"
	case v > boundByClient:
		return "server"
	default:
		return ""
	}
}

// median returns the median over the turns; false without measurements.
func (b book) median(s scenario, f figure) (float64, bool) { return middle(b.values(s, f)) }

// values returns the figure of each turn that has it.
func (b book) values(s scenario, f figure) (values []float64) {
	for _, m := range b[s] {
		if v, ok := f(m); ok {
			values = append(values, v)
		}
	}
	return values
}

// ratio returns the median of a's figure over b's, turn by turn; false without measurements.
func (b book) ratio(over, under scenario, f figure) (float64, bool) {
	return b.against(over, f, under, f)
}

// against returns the median of one scenario's figure over another figure of another one, turn by
// turn; false without measurements.
func (b book) against(over scenario, f figure, under scenario, g figure) (float64, bool) {
	var values []float64
	for turn := range min(len(b[over]), len(b[under])) {
		x, ok1 := f(b[over][turn])
		y, ok2 := g(b[under][turn])
		if ok1 && ok2 && y != 0 {
			values = append(values, x/y)
		}
	}
	return middle(values)
}

// middle returns the median of values; false if there are none.
func middle(values []float64) (float64, bool) {
	if len(values) == 0 {
		return 0, false
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2, true
}

// foreign returns the largest use of the machine by other programs during a run, in cores.
func (b book) foreign() (most float64) {
	for _, list := range b {
		for _, m := range list {
			most = max(most, m.Foreign)
		}
	}
	return most
}

// An entry is a scenario of a book, as in a file.
type entry struct {
	Scenario     scenario
	Measurements []*measurement
}

func (b book) save(path string) error {
	var entries []entry
	for s, list := range b {
		entries = append(entries, entry{s, list})
	}
	slices.SortFunc(entries, func(x, y entry) int { return strings.Compare(x.Scenario.String(), y.Scenario.String()) })
	text, err := json.MarshalIndent(entries, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

func loadBook(path string) (book, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var entries []entry
	if err := json.Unmarshal(text, &entries); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	b := make(book)
	for _, e := range entries {
		b[e.Scenario] = e.Measurements
	}
	return b, nil
}
