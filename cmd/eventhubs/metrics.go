package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/metricsserver"
)

// startMetrics starts the server for Prometheus and sets options so that the producer reports to
// it. Without --metrics it does nothing.
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

// describeMetrics writes the address of the metrics to standard error.
func (pub *publication) describeMetrics() {
	if pub.metrics != nil {
		fmt.Fprintln(pub.process.stderr, "Metrics: http://"+pub.metrics.Addr()+"/metrics")
	}
}

// closeMetrics ends the metrics. A scrape in progress has closeTimeout to finish.
func (pub *publication) closeMetrics(ctx context.Context) error {
	if pub.metrics == nil {
		return nil
	}
	ctx, cancel := closing(ctx)
	defer cancel()
	return pub.metrics.Close(ctx)
}
