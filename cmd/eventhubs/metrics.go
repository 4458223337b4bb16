package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/metricsserver"
)

// startMetrics begins to show Prometheus what the producer does that is made with options. Without --metrics there is nothing to start.
func (pub *publication) startMetrics(options *eventhubs.Options) error {
	if pub.options.metricsAddr == "" {
		return nil
	}
	server, err := metricsserver.Start(pub.options.metricsAddr, options, newErrorLog(func(text string) { pub.progress.line(pub.process.redact(text)) }))
	if cause, ok := errors.AsType[*net.OpError](err); ok {
		return cannotListen("--metrics", pub.options.metricsAddr, cause)
	}
	pub.metrics = server
	return err
}

// describeMetrics says on standard error where the metrics are.
func (pub *publication) describeMetrics() {
	if pub.metrics != nil {
		fmt.Fprintln(pub.process.stderr, "Metrics: http://"+pub.metrics.Addr()+"/metrics")
	}
}

// closeMetrics ends the metrics; a scrape that is under way has closeTimeout to come to its end.
func (pub *publication) closeMetrics(ctx context.Context) error {
	if pub.metrics == nil {
		return nil
	}
	ctx, cancel := closing(ctx)
	defer cancel()
	return pub.metrics.Close(ctx)
}
