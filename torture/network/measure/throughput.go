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

// settings are those of both directions.
func (b *bench) settings(loss float64, rate int) network.Settings {
	return network.Settings{Delay: b.options.roundTrip / 2, Loss: loss, Rate: rate, Queue: rate / 10}
}

// run makes one load over a way with a delay and losses in both directions.
func (b *bench) run(control string, loss float64, j job) (res *result, err error) {
	r, err := newRig(1, j.Partitions, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	j.Control, j.WarmUp, j.Lasting = control, b.options.warmUp, b.options.lasting
	if loss >= 0.01 && j.Every == 0 {
		j.Lasting *= 3 // a batch takes seconds
	}
	return b.load(r, 0, b.settings(loss, 0), j)
}

// load makes one load over a way of a rig.
func (b *bench) load(r *rig, way int, s network.Settings, j job) (*result, error) {
	w := r.network.Way(way)
	w.Set(s, s)
	j.Role, j.Address = "load", r.address
	p, err := start(w.Start, j)
	if err != nil {
		return nil, err
	}
	m, err := p.next(j.WarmUp + j.Lasting + 2*time.Minute)
	if err := errors.Join(err, p.end()); err != nil {
		return nil, err
	}
	up, _ := w.Count()
	b.note("%s, loss %g %%, rate %d, %d partitions, %d connections, %d sends: %.2f MB/s, p50 %v, p99 %v, %d failed tries; %d of %d packets lost, %d overflowed",
		j.Control, s.Loss*100, s.Rate, j.Partitions, j.Connections, j.Sends, m.Result.BytesPerSecond/1e6, m.Result.P50, m.Result.P99, m.Result.Failed, up.Lost, up.Packets, up.Overflowed)
	return m.Result, nil
}

// throughput is the table of sends in flight.
func throughput(b *bench) error {
	b.printf("\n### Throughput, round trip %v, one connection, events of 10 kB, MB/s\n\n", b.options.roundTrip)
	b.printf("| Congestion control | Partitions | Loss | 1 send in flight | 2 | 4 |\n|---|---|---|---|---|---|\n")
	for control := range strings.SplitSeq(b.options.control, ",") {
		for _, partitions := range []int{1, 4} {
			for _, loss := range losses {
				var row strings.Builder
				_, _ = fmt.Fprintf(&row, "| %s | %d | %g %% ", control, partitions, loss*100)
				for _, sends := range []int{1, 2, 4} {
					r, err := b.run(control, loss, job{Partitions: partitions, Connections: 1, Sends: sends, EventBytes: 10_000})
					if err != nil {
						return err
					}
					_, _ = fmt.Fprintf(&row, "| %.2f ", r.BytesPerSecond/1e6)
				}
				b.printf("%s|\n", row.String())
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
				fast, err := b.run(control, loss, job{Partitions: 32, Connections: n, Sends: 1, EventBytes: 10_000})
				if err != nil {
					return err
				}
				slow, err := b.run(control, loss, job{Partitions: 32, Connections: n, Sends: 1, EventBytes: 300, Every: 100 * time.Millisecond})
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

// slow is the table of lines that take long for one batch of each partition.
func slow(b *bench) error {
	const lasting = 3 * time.Minute
	type line struct{ rate, buffer int }
	lines := []line{{1_000_000, 0}, {500_000, 0}, {250_000, 0}, {500_000, 30_000_000}, {250_000, 15_000_000}}
	r, err := newRig(len(lines), 32, 0)
	if err != nil {
		return err
	}
	b.printf("\n### 32 partitions, as fast as possible, over a slow line for %v; round trip %v, `TryTimeout` 60 s\n\n", lasting, b.options.roundTrip)
	b.printf("| Rate of the line | `MaxBufferedBytes` | Stored, MB/s | Failed tries | Event stored after: p50 | longest |\n|---|---|---|---|---|---|\n")
	rows := make([]string, len(lines))
	var work []func() error
	for i, l := range lines {
		work = append(work, func() error {
			res, err := b.load(r, i, b.settings(0, l.rate), job{Partitions: 32, Connections: 1, Sends: 1, EventBytes: 10_000, Buffer: l.buffer, Lasting: lasting})
			if err != nil {
				return err
			}
			buffer := "64 MiB"
			if l.buffer > 0 {
				buffer = fmt.Sprintf("%g MB", float64(l.buffer)/1e6)
			}
			rows[i] = fmt.Sprintf("| %g MB/s | %s | %.2f | %d | %s | %s |\n", float64(l.rate)/1e6, buffer, res.BytesPerSecond/1e6, res.Failed, seconds(res.P50), seconds(res.Max))
			return nil
		})
	}
	err = all(work...)
	for _, row := range rows {
		b.printf("%s", row)
	}
	return errors.Join(err, r.close())
}
