//go:build linux

package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/torture/network"
)

var losses = []float64{0, 0.001, 0.01}

// run makes one load over a way with a delay and losses in both directions.
func (b *bench) run(control string, loss float64, j job) (res *result, lost float64, err error) {
	r, err := newRig(1, j.Partitions, 0)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	w := r.network.Way(0)
	s := network.Settings{Delay: b.options.roundTrip / 2, Loss: loss}
	w.Set(s, s)
	j.Role, j.Address, j.WarmUp, j.Lasting = "load", r.address, b.options.warmUp, b.options.lasting
	j.Control = control
	p, err := start(w.Start, j)
	if err != nil {
		return nil, 0, err
	}
	m, err := p.next(j.WarmUp + j.Lasting + time.Minute)
	if err != nil {
		return nil, 0, err
	}
	if err := p.end(); err != nil {
		return nil, 0, err
	}
	up, _ := w.Count()
	b.note("%s, loss %g, %d partitions, %d connections, %d sends: %.2f MB/s, p50 %v, p99 %v, %d failed tries; %d of %d packets lost",
		control, loss, j.Partitions, j.Connections, j.Sends, m.Result.BytesPerSecond/1e6, m.Result.P50, m.Result.P99, m.Result.Failed, up.Lost, up.Packets)
	return m.Result, float64(up.Lost) / float64(up.Packets), nil
}

// throughput is the table of sends in flight.
func throughput(b *bench) error {
	b.printf("\n### Throughput, round trip %v, one connection, events of 10 kB, MB/s\n\n", b.options.roundTrip)
	b.printf("| Congestion control | Partitions | Loss | 1 send in flight | 2 | 4 |\n|---|---|---|---|---|---|\n")
	for control := range strings.SplitSeq(b.options.control, ",") {
		for _, partitions := range []int{1, 4} {
			for _, loss := range losses {
				row := fmt.Sprintf("| %s | %d | %g %% ", control, partitions, loss*100)
				for _, sends := range []int{1, 2, 4} {
					r, _, err := b.run(control, loss, job{Partitions: partitions, Connections: 1, Sends: sends, EventBytes: 10_000})
					if err != nil {
						return err
					}
					row += fmt.Sprintf("| %.2f ", r.BytesPerSecond/1e6)
				}
				b.printf("%s|\n", row)
			}
		}
	}
	return nil
}

// connections is the table of 32 partitions over one connection or several.
func connections(b *bench) error {
	b.printf("\n### 32 partitions over one connection or several, round trip %v\n\n", b.options.roundTrip)
	b.printf("| Congestion control | Loss | Connections | as fast as possible, MB/s | 320 events/s of 300 B: p50 | p99 | longest |\n|---|---|---|---|---|---|---|\n")
	for control := range strings.SplitSeq(b.options.control, ",") {
		for _, loss := range losses {
			for _, n := range []int{1, 4, 16} {
				fast, _, err := b.run(control, loss, job{Partitions: 32, Connections: n, Sends: 1, EventBytes: 10_000})
				if err != nil {
					return err
				}
				slow, _, err := b.run(control, loss, job{Partitions: 32, Connections: n, Sends: 1, EventBytes: 300, Every: 100 * time.Millisecond})
				if err != nil {
					return err
				}
				b.printf("| %s | %g %% | %d | %.2f | %d ms | %d ms | %d ms |\n", control, loss*100, n,
					fast.BytesPerSecond/1e6, slow.P50.Milliseconds(), slow.P99.Milliseconds(), slow.Max.Milliseconds())
			}
		}
	}
	return nil
}
