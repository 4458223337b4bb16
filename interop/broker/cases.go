package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// caseLimit bounds a case. On a busy machine the start of a broker in Java takes many seconds.
const caseLimit = 2 * time.Minute

// A testCase runs on each broker. Its remark goes into the table.
type testCase struct {
	name string
	run  func(context.Context, *bed) (remark string, err error)
}

// why says why a broker cannot run a case; empty if it can.
func (b *broker) why(name string) string {
	if why := b.lacks[name]; why != "" || !b.refusesFormat || name == nameChannels {
		return why
	}
	return "it refuses the format of batches"
}

// Names of cases that some brokers cannot run.
const (
	nameProducer  = "the whole producer"
	nameRestarted = "the broker killed and restarted"
	nameKilled    = "whole producers while the broker is killed"
	nameMissing   = "an address that is not there"
	nameRefused   = "more than the broker takes"
	nameDry       = "no credit for a while"
	nameDetached  = "links closed by the broker"
	nameChannels  = "more partitions than channels"
	nameIdle      = "silence"
)

// cases in the order in which they are run.
var cases = []*testCase{
	{"small batches", smallBatches},
	{nameRestarted, restartedBroker}, // early, while it has little to read at its start
	{nameKilled, killedServer},
	{"batches of many frames", largeBatches},
	{"10 MiB", hugeBatches},
	{"1,000 batches in a row", manyBatches},
	{"8 links at once", parallelLinks},
	{nameMissing, missingAddress},
	{nameRefused, refusedBatches},
	{nameDry, withoutCredit},
	{nameDetached, closedLinks},
	{"connections closed and cut", lostConnections},
	{nameIdle, silence},
	{nameChannels, moreThanChannels},
	{nameProducer, wholeProducer},
}

func smallBatches(ctx context.Context, d *bed) (string, error) {
	p := d.publisher("small", "0")
	if err := d.read(ctx, p.address); err != nil {
		return "", err
	}
	for _, shape := range [][2]int{{1, 0}, {1, 1}, {1, 10}, {3, 100}, {50, 20}} {
		if err := p.publishAll(ctx, 1, shape[0], shape[1]); err != nil {
			return "", err
		}
	}
	return p.volume(), errors.Join(p.finish(ctx), d.wantConnections(ctx, 1))
}

// largeBatches publishes batches of many frames, and batches that just fit into one, two or three
// frames, or just do not.
func largeBatches(ctx context.Context, d *bed) (string, error) {
	p := d.publisher("large", "0")
	if err := d.read(ctx, p.address); err != nil {
		return "", err
	}
	for _, shape := range [][2]int{{1, 200_000}, {1, 1_000_000}, {4_000, 240}, {10_000, 90}, {2, 500_000}} {
		if err := p.publishAll(ctx, 3, shape[0], shape[1]); err != nil {
			return "", err
		}
	}
	for _, frame := range []int{4096, 16384} { // the brokers' limits
		for frames := range 3 {
			for less := range 80 { // more than a frame's own fields and the section's
				if err := p.publishAll(ctx, 1, 1, (frames+1)*(frame-40)+40-less); err != nil {
					return "", err
				}
			}
		}
	}
	return p.volume(), errors.Join(p.finish(ctx), d.wantConnections(ctx, 1))
}

func manyBatches(ctx context.Context, d *bed) (string, error) {
	p := d.publisher("many", "0")
	if err := d.read(ctx, p.address); err != nil {
		return "", err
	}
	if err := p.publishAll(ctx, 1000, 800, 240); err != nil {
		return "", err
	}
	return p.volume(), errors.Join(p.finish(ctx), d.wantConnections(ctx, 1))
}

func parallelLinks(ctx context.Context, d *bed) (string, error) {
	const links, batches = 8, 40
	publishers := make([]*publisher, links)
	errs := make([]error, links)
	var wg sync.WaitGroup
	for i := range publishers {
		p := d.publisher("parallel", strconv.Itoa(i))
		if err := d.read(ctx, p.address); err != nil {
			return "", err
		}
		publishers[i] = p
	}
	payload := make([][][]byte, batches)
	for i := range payload {
		payload[i] = d.batch(1000, 300)
	}
	for i, p := range publishers {
		// Ends with its last batch; awaited below.
		wg.Go(func() {
			for n := range payload {
				if errs[i] = p.publish(ctx, payload[(n+i)%batches]); errs[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	bytes := 0
	for i, p := range publishers {
		errs[i] = errors.Join(errs[i], p.finish(ctx))
		bytes += p.bytes
	}
	return fmt.Sprintf("%d batches each, %.1f MB", batches, float64(bytes)/1e6), errors.Join(errors.Join(errs...), d.wantConnections(ctx, 1))
}

// missingAddress wants a refused link to be reported with its reason, and other links to go on.
func missingAddress(ctx context.Context, d *bed) (string, error) {
	p := d.publisher("beside", "0")
	if err := d.read(ctx, p.address); err != nil {
		return "", err
	}
	if err := p.publishAll(ctx, 1, 1, 10); err != nil {
		return "", err
	}
	missing := d.publisher("missing", "0")
	if d.missing != "" {
		missing.sender = d.conn.Sender(d.missing, "", "interop")
	}
	code := cmp.Or(d.missingCode, connection.CodeNotFound)
	for range 2 {
		if err := want(missing.try(ctx, d.batch(1, 10), 0), connection.NotSent, code); err != nil {
			return "", err
		}
	}
	return string(code), errors.Join(p.finish(ctx), d.wantConnections(ctx, 1))
}

// refusedBatches wants batches over the limit to be refused for that reason, and the link to go on.
func refusedBatches(ctx context.Context, d *bed) (string, error) {
	var remarks []string
	for _, r := range d.refusals {
		p := d.publisher(r.hub, "0")
		if err := p.publishAll(ctx, 1, 200, 1000); err != nil {
			return "", err
		}
		for range 2 {
			if err := want(p.try(ctx, d.batch(1000, 1000), 0), r.outcome, r.code); err != nil {
				return "", fmt.Errorf("%s: %w", r.hub, err)
			}
		}
		if err := d.read(ctx, p.address); err != nil {
			return "", err
		}
		p.again = append(p.again, r.code) // until the earlier messages are read
		if err := p.finish(ctx); err != nil {
			return "", err
		}
		remarks = append(remarks, fmt.Sprintf("%v: %s", r.outcome, r.code))
	}
	return strings.Join(remarks, ", "), d.wantConnections(ctx, 1)
}

// withoutCredit wants a wait for credit to end with its context, without sending, and the link to
// go on.
func withoutCredit(ctx context.Context, d *bed) (string, error) {
	const most = 40 // upper bound of the batches that a broker allows
	p := d.publisher("dry", "0")
	var r connection.Result
	for range most {
		trying, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		r = p.try(trying, d.batch(100, 500), 0)
		cancel()
		if r.Outcome != connection.Accepted {
			break
		}
	}
	if err := want(r, connection.NotSent, connection.CodeTimeout); err != nil {
		return "", err
	}
	allowed := len(p.sent)
	if err := d.relieve(ctx, p.address); err != nil {
		return "", err
	}
	if err := p.publishAll(ctx, 20, 100, 500); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d batches were allowed", allowed), errors.Join(p.finish(ctx), d.wantConnections(ctx, 1))
}

func want(r connection.Result, outcome connection.Outcome, code connection.Code) error {
	e, ok := errors.AsType[*connection.Error](r.Err)
	if r.Outcome != outcome || !ok || e.Code != code {
		return fmt.Errorf("the outcome is %v with error %v; want %v with code %s", r.Outcome, r.Err, outcome, code)
	}
	return nil
}
