//go:build linux

package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/torture/network"
)

const (
	every  = 100 * time.Millisecond // an event of a producer under load
	steady = 3 * time.Second
	// patience is longer than anything that is measured.
	patience = 4 * time.Minute
)

// A probe is a producer, and the way that it takes.
type probe struct {
	*process
	way  *network.Way
	sent int // events
}

func (b *bench) probe(r *rig, way int, j job) (*probe, error) {
	w := r.network.Way(way)
	s := network.Settings{Delay: b.options.roundTrip / 2}
	w.Set(s, s)
	j.Role, j.Address, j.Sends = "probe", r.address, 1
	p, err := start(w.Start, j)
	return &probe{process: p, way: w}, err
}

// send has the producer enqueue the next event.
func (p *probe) send() error {
	p.sent++
	return p.event()
}

// first waits for the first stored event of those that are sent from now on; with traffic it sends
// some all the while. It also returns the first loss of the connection and the failed tries since a
// moment.
func (p *probe) first(since time.Time, traffic bool) (stored, lost message, failures []string, err error) {
	return p.firstOf(p.sent+1, since, traffic)
}

// firstOf is first, from an event of that number on.
func (p *probe) firstOf(number int, since time.Time, traffic bool) (stored, lost message, failures []string, err error) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	late := time.After(patience)
	for {
		select {
		case m, ok := <-p.messages:
			switch {
			case !ok:
				return stored, lost, failures, errors.New("the producer has ended")
			case m.Stored >= number:
				return m, lost, failures, nil
			case m.At.Before(since):
			case m.Disconnected != "" && lost.At.IsZero():
				lost = m
			case m.Failed != "":
				failures = append(failures, m.Failed)
			}
		case <-tick.C:
			if traffic {
				if err := p.send(); err != nil {
					return stored, lost, failures, err
				}
			}
		case <-late:
			return stored, lost, failures, errSilent
		}
	}
}

// warm has a probe send for a while.
func (p *probe) warm() error {
	for end := time.Now().Add(steady); time.Now().Before(end); {
		if _, _, _, err := p.first(time.Now(), true); err != nil {
			return err
		}
	}
	return nil
}

// untilLost waits for the loss of the connection, without events.
func (p *probe) untilLost(within time.Duration) (message, bool) {
	late := time.After(within)
	for {
		select {
		case m, ok := <-p.messages:
			if !ok {
				return m, false
			}
			if m.Disconnected != "" {
				return m, true
			}
		case <-late:
			return message{}, false
		}
	}
}

// A row is one producer's, measured at the same time as the others of its table.
type row struct {
	name    string
	job     job
	measure func(b *bench, p *probe) (cells []string, err error)
}

// rows measures all rows at once, each over a way of its own, and prints them in their order.
func (b *bench) rows(announced time.Duration, rows []row) (err error) {
	r, err := newRig(len(rows), 1, announced)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	lines := make([]string, len(rows))
	var work []func() error
	for i, row := range rows {
		work = append(work, func() error {
			p, err := b.probe(r, i, row.job)
			if err != nil {
				return err
			}
			if err := p.warm(); err != nil {
				return errors.Join(fmt.Errorf("%s: %w", row.name, err), p.end())
			}
			cells, err := row.measure(b, p)
			if err != nil {
				err = fmt.Errorf("%s: %w", row.name, err)
			}
			b.note("%s: %s", row.name, strings.Join(cells, " | "))
			lines[i] = fmt.Sprintf("| %s | %s |\n", row.name, strings.Join(cells, " | "))
			return errors.Join(err, p.end())
		})
	}
	err = all(work...)
	for _, line := range lines {
		b.printf("%s", line)
	}
	return err
}

func seconds(d time.Duration) string {
	if d < 2*time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func since(m message, t time.Time) string {
	if m.At.IsZero() {
		return "-"
	}
	return seconds(m.At.Sub(t))
}

// underLoad has the way forget the connection while events are sent.
func underLoad(_ *bench, p *probe) ([]string, error) {
	p.way.ForgetMappings()
	began := time.Now()
	stored, lost, failures, err := p.first(began, true)
	return []string{since(lost, began), since(stored, began), fmt.Sprint(len(failures))}, err
}

// atRest has the way forget the connection while nothing is sent, and sends after the loss.
func atRest(_ *bench, p *probe) ([]string, error) {
	p.settle()
	p.way.ForgetMappings()
	began := time.Now()
	lost, ok := p.untilLost(patience)
	if !ok {
		return nil, errors.New("the producer does not notice")
	}
	if err := p.send(); err != nil {
		return nil, err
	}
	stored, _, failures, err := p.firstOf(p.sent, began, false)
	return []string{since(lost, began), "event after that: " + seconds(stored.Took), fmt.Sprint(len(failures))}, err
}

// settle waits until nothing is under way.
func (p *probe) settle() {
	for {
		if _, err := p.next(2 * time.Second); err != nil {
			return
		}
	}
}

func resetting(measure func(*bench, *probe) ([]string, error)) func(*bench, *probe) ([]string, error) {
	return func(b *bench, p *probe) ([]string, error) {
		p.way.SetNAT(0, true)
		return measure(b, p)
	}
}

// halfOpen is the table of connections that the network has forgotten, while new ones pass.
func halfOpen(b *bench) error {
	b.printf("\n### The network forgets the connection, and lets a new one in; round trip %v\n\n", b.options.roundTrip)
	b.printf("| An event every 100 ms, unless idle | Connection dropped after | Next event stored after | Failed tries |\n|---|---|---|---|\n")
	keepAlive5 := keepAlive{Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3}
	return b.rows(0, []row{
		{"defaults: `TryTimeout` 60 s", job{}, underLoad},
		{"`TryTimeout` 15 s", job{TryTimeout: 15 * time.Second}, underLoad},
		{"`TryTimeout` 5 s", job{TryTimeout: 5 * time.Second}, underLoad},
		{"`TryTimeout` 2 s", job{TryTimeout: 2 * time.Second}, underLoad},
		{"defaults, TCP_USER_TIMEOUT 20 s", job{UserTimeout: 20 * time.Second}, underLoad},
		{"defaults, TCP_USER_TIMEOUT 5 s", job{UserTimeout: 5 * time.Second}, underLoad},
		{"defaults, TCP keep-alive 5 s, 3 probes each 2 s", job{KeepAlive: keepAlive5}, underLoad},
		{"defaults, the network answers with a reset", job{}, resetting(underLoad)},
		{"idle: defaults", job{}, atRest},
		{"idle: `TryTimeout` 5 s", job{TryTimeout: 5 * time.Second}, atRest},
		{"idle: TCP_USER_TIMEOUT 5 s", job{UserTimeout: 5 * time.Second}, atRest},
		{"idle: TCP keep-alive 5 s, 3 probes each 2 s", job{KeepAlive: keepAlive5}, atRest},
		{"idle: the network answers with a reset", job{}, resetting(atRest)},
	})
}

// away has nothing pass for a time.
func away(d time.Duration) func(*bench, *probe) ([]string, error) {
	return func(b *bench, p *probe) ([]string, error) {
		hole := network.Settings{BlackHole: true}
		p.way.Set(hole, hole)
		began := time.Now()
		end, into := began.Add(d), p.sent+1
		// Events go on meanwhile, into the buffer.
		tick := time.NewTicker(every)
		defer tick.Stop()
		for now := range tick.C {
			if now.After(end) {
				break
			}
			if err := p.send(); err != nil {
				return nil, err
			}
		}
		s := network.Settings{Delay: b.options.roundTrip / 2}
		p.way.Set(s, s)
		back := time.Now()
		stored, _, _, err := p.firstOf(into, back, true)
		return []string{since(stored, back)}, err
	}
}

// outage is the table of networks that let nothing through for a while.
func outage(b *bench) error {
	b.printf("\n### Nothing passes for a while; round trip %v\n\n", b.options.roundTrip)
	b.printf("| An event every 100 ms | First event stored after the end |\n|---|---|\n")
	var rows []row
	for _, d := range []time.Duration{3 * time.Second, 10 * time.Second, 25 * time.Second, 50 * time.Second, 100 * time.Second} {
		for _, r := range []row{
			{"defaults", job{}, nil},
			{"`TryTimeout` 5 s", job{TryTimeout: 5 * time.Second}, nil},
			{"TCP_USER_TIMEOUT 5 s", job{UserTimeout: 5 * time.Second}, nil},
			{"`TryTimeout` 5 s, a dialer without a timeout", job{TryTimeout: 5 * time.Second, DialTimeout: -1}, nil},
		} {
			rows = append(rows, row{fmt.Sprintf("%v: %s", d, r.name), r.job, away(d)})
		}
	}
	return b.rows(0, rows)
}

// quiet sends nothing for a time, over a translation that forgets after another, and then an event.
func quiet(forget, idle time.Duration, reset bool) func(*bench, *probe) ([]string, error) {
	return func(_ *bench, p *probe) ([]string, error) {
		p.way.SetNAT(forget, reset)
		before := p.way.CountNAT().Forgotten
		began := time.Now()
		lost, _ := p.untilLost(idle)
		if err := p.send(); err != nil {
			return nil, err
		}
		stored, second, failures, err := p.firstOf(p.sent, began, false)
		if lost.At.IsZero() {
			lost = second
		}
		forgotten := "no" // the NAT looks when a packet comes
		if p.way.CountNAT().Forgotten > before {
			forgotten = "yes"
		}
		return []string{forgotten, since(lost, began), seconds(stored.Took), fmt.Sprint(len(failures))}, err
	}
}

// idle is the table of a translation that forgets idle connections.
func idle(b *bench) error {
	b.printf("\n### A NAT forgets idle connections; round trip %v\n\n", b.options.roundTrip)
	b.printf("| | Idle for | Mapping forgotten | Connection dropped after | The event is stored after | Failed tries |\n|---|---|---|---|---|---|\n")
	off := keepAlive{Off: true}
	const four, ten = 4 * time.Minute, 10 * time.Second
	table := func(forget, idle time.Duration, reset bool, name string, j job) row {
		measure := quiet(forget, idle, reset)
		return row{name, j, func(b *bench, p *probe) ([]string, error) {
			cells, err := measure(b, p)
			return append([]string{idle.String()}, cells...), err
		}}
	}
	five := job{TryTimeout: 5 * time.Second, KeepAlive: off}
	user := job{UserTimeout: 5 * time.Second, KeepAlive: off}
	tcp := job{KeepAlive: keepAlive{Idle: 4 * time.Second, Interval: 4 * time.Second, Count: 9}}
	return all(
		// With a service that asks for no keep-alives.
		func() error {
			return b.rows(-1, []row{
				table(four, four+30*time.Second, false, "4 min: TCP keep-alive off, ours off", job{KeepAlive: off}),
				table(ten, 12*time.Second, false, "10 s: all off", job{KeepAlive: off}),
				table(ten, 12*time.Second, false, "10 s: all off, `TryTimeout` 5 s", five),
				table(ten, 12*time.Second, false, "10 s: all off, TCP_USER_TIMEOUT 5 s", user),
				table(ten, 12*time.Second, true, "10 s: all off, the NAT answers with a reset", job{KeepAlive: off}),
				table(ten, 100*time.Second, false, "10 s: all off", job{KeepAlive: off}),
				table(ten, 100*time.Second, false, "10 s: TCP keep-alive each 4 s", tcp),
			})
		},
		// As the service does.
		func() error {
			return b.rows(four, []row{
				table(four, four+30*time.Second, false, "4 min: as they are", job{}),
				table(four, four+30*time.Second, false, "4 min: TCP keep-alive off", job{KeepAlive: off}),
			})
		},
	)
}
