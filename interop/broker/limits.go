package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// hugeBatches publishes 10 MiB at once: as one event, and as many events of a kilobyte.
func hugeBatches(ctx context.Context, d *bed) (string, error) {
	p := d.publisher("huge", "0")
	if err := d.read(ctx, p.address); err != nil {
		return "", err
	}
	const size = 10<<20 - 1000 // less the overhead
	for _, shape := range [][2]int{{1, size}, {10_240, 1000}} {
		if err := p.publishAll(ctx, 1, shape[0], shape[1]); err != nil {
			return "", err
		}
	}
	return p.volume(), errors.Join(p.finish(ctx), d.wantConnections(ctx, 1))
}

// silence wants a connection to outlive the broker's idle time-out without traffic.
func silence(ctx context.Context, d *bed) (string, error) {
	p := d.publisher("silent", "0")
	if err := d.read(ctx, p.address); err != nil {
		return "", err
	}
	if err := p.publishAll(ctx, 1, 1, 10); err != nil {
		return "", err
	}
	timer := time.NewTimer(5 * d.idle / 2)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	return fmt.Sprintf("after %v with an idle time-out of %v", 5*d.idle/2, d.idle), errors.Join(p.finish(ctx), d.wantConnections(ctx, 1))
}

// moreThanChannels wants a link without a free channel to be refused at once, with the name of the
// limit and what to do. It must not disturb other links.
func moreThanChannels(ctx context.Context, d *bed) (string, error) {
	const more = 5
	publishers := make([]*publisher, d.channels+more)
	for i := range publishers {
		publishers[i] = d.publisher("channels", strconv.Itoa(i))
		if err := d.read(ctx, publishers[i].address); err != nil {
			return "", err
		}
	}
	for _, p := range publishers[:d.channels] {
		if err := p.begin(ctx); err != nil {
			return "", err
		}
	}
	for _, p := range publishers[d.channels:] {
		trying, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := p.begin(trying)
		cancel()
		e, ok := errors.AsType[*connection.Error](err)
		if !ok || e.Code != connection.CodeQuotaExceeded || !strings.Contains(err.Error(), strconv.Itoa(d.channels)) {
			return "", fmt.Errorf("a link beyond the limit of %d ends with %v; want the limit named, with code %s", d.channels, err, connection.CodeQuotaExceeded)
		}
	}
	// A closed link frees its channel.
	if err := publishers[0].end(ctx); err != nil {
		return "", err
	}
	publishers[0].sender.Close(ctx)
	if err := publishers[d.channels].begin(ctx); err != nil {
		return "", fmt.Errorf("when there is room: %w", err)
	}
	for _, p := range publishers[1 : d.channels+1] {
		if err := p.end(ctx); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d of %d links", d.channels, len(publishers)), d.wantConnections(ctx, 1)
}

// begin publishes a batch, or only opens the link if the broker allows no more.
func (p *publisher) begin(ctx context.Context) error {
	if p.bed.refusesFormat {
		return p.sender.Open(ctx)
	}
	return p.publishAll(ctx, 1, 2, 10)
}

// end publishes the last batch and wants all published batches to have arrived.
func (p *publisher) end(ctx context.Context) error {
	if p.bed.refusesFormat {
		return p.sender.Open(ctx)
	}
	return p.finish(ctx)
}
