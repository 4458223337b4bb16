package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// Scenarios of the kind inTurns publish in one process, to one server, a slice of time each and
// again and again. So what others do to the machine is the same for all, and small differences
// show. Each slice is a measurement.

// slice is short beside the spells in which others use the machine. It has some dozens of batches.
const slice = 100 * time.Millisecond

// sliceTurns are the turns of a run. Their medians differ little from run to run.
const sliceTurns = 60

// runInTurns makes one run of several scenarios. Its result has the measurements of each.
func (r *runner) runInTurns(ctx context.Context, scenarios []scenario, turns int) (slices [][]*measurement, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit+10*time.Duration(turns*len(scenarios))*slice+endLimit, errors.New("the run takes too long"))
	defer cancel()
	client := &program{command: []string{executable()}, environment: map[string]string{roleVariable: roleClient}}
	server, err := startProcess(ctx, &program{command: []string{executable()}, environment: map[string]string{roleVariable: roleServer}})
	if err != nil {
		return nil, err
	}
	machine, err := machineTime()
	began, counted := time.Now(), tally{}
	j := &job{Together: scenarios, Turns: turns, Profile: r.profile(scenarios[0], roleClient)}
	if err == nil {
		err = server.exchange(order{Kind: scenarios[0].server(), Scenario: scenarios[0], Profile: r.profile(scenarios[0], roleServer)}, &j.Server)
	}
	if err == nil {
		err = client.answer(ctx, j, &slices)
	}
	if err := errors.Join(err, server.end(&counted)); err != nil {
		return nil, err
	}
	after, err := machineTime()
	foreign := max(0, (after-machine-server.used()-client.used).Seconds()/time.Since(began).Seconds())
	sent := int64(0)
	for _, list := range slices {
		sent += list[0].Sent
		for _, m := range list {
			m.Cores, m.Foreign = float64(runtime.NumCPU()), foreign
		}
	}
	if counted.Events != sent {
		return nil, fmt.Errorf("the client has sent %d events, but the server has counted %d", sent, counted.Events)
	}
	return slices, err
}

// measureInTurns is the client's part.
func measureInTurns(ctx context.Context, j *job) (slices [][]*measurement, err error) {
	producers, loads := make([]producer, len(j.Together)), make([]*load, len(j.Together))
	for i, s := range j.Together {
		one := *j
		one.Scenario = s
		if producers[i], err = peerNamed(s.Peer).open(ctx, &one); err != nil {
			return nil, fmt.Errorf("opening: %w", err)
		}
		loads[i] = newLoad(s)
	}
	slices = make([][]*measurement, len(j.Together))
	var stop func() error
	for turn := range j.Turns + 1 {
		if turn == 1 { // the first is to warm up
			if stop, err = startProfile(j.Profile); err != nil {
				return nil, err
			}
		}
		for n := range producers {
			i := (n + turn) % len(producers) // none is always the first
			m, err := measureSlice(ctx, producers[i], loads[i])
			if err != nil {
				return nil, err
			}
			if turn > 0 {
				slices[i] = append(slices[i], m)
			}
		}
	}
	err = stop()
	for i, p := range producers {
		err = errors.Join(err, p.close(ctx))
		slices[i][0].Sent = loads[i].sent.Load() // of all slices
	}
	return slices, err
}

func measureSlice(ctx context.Context, p producer, l *load) (*measurement, error) {
	sent, bytes := l.sent.Load(), l.bytes.Load()
	before, err := usageNow()
	if err != nil {
		return nil, err
	}
	l.phase(slice)
	if err := p.produce(ctx, l); err != nil {
		return nil, err
	}
	after, err := usageNow()
	return &measurement{
		Events: l.sent.Load() - sent, Bytes: l.bytes.Load() - bytes, Seconds: after.at.Sub(before.at).Seconds(), CPU: after.cpu - before.cpu,
		Mallocs: int64(after.mallocs - before.mallocs), Allocated: int64(after.bytes - before.bytes),
	}, err
}
