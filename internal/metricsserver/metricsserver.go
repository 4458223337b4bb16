// Package metricsserver serves a producer's metrics to Prometheus over HTTP, through
// OpenTelemetry's exporter. It implements "eventhubs publish --metrics". It is a separate package,
// so that only the command line links Prometheus.
package metricsserver

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/httpserver"
	"github.com/go-eventhubs/eventhubs/internal/local"
	"github.com/go-eventhubs/eventhubs/telemetry"
)

// A Server answers GET /metrics until it is closed.
type Server struct {
	// Immutable after Start.
	listener net.Listener
	http     *http.Server
	provider *metric.MeterProvider

	serving sync.WaitGroup
	failed  error // written before serving is done
}

// Start listens at addr, for example "127.0.0.1:9464", or ":9464" for the same. It adds metrics to
// the options of the observed producer. The error names the address. Errors while serving are
// logged to errorLog; nil means the log package's default logger.
func Start(addr string, options *eventhubs.Options, errorLog *log.Logger) (*Server, error) {
	listener, err := local.Listen(addr)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w: give an address to listen at, such as 127.0.0.1:9464", err)
	}
	s, err := newServer(listener, addr, options, errorLog)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	s.serve()
	return s, nil
}

func (s *Server) serve() {
	// Ends with Close, which waits for it.
	s.serving.Go(func() {
		if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			s.failed = fmt.Errorf("metrics: %w", err)
		}
	})
}

func newServer(listener net.Listener, addr string, options *eventhubs.Options, errorLog *log.Logger) (*Server, error) {
	if errorLog == nil {
		errorLog = log.Default() // promhttp would not log
	}
	metrics, provider, err := Handler(options, errorLog)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.Handle("GET /{$}", http.RedirectHandler("/metrics", http.StatusFound))
	return &Server{listener: listener, http: httpserver.New(addr, mux, errorLog), provider: provider}, nil
}

// Handler answers each request with the metrics of a producer with these options. It adds to them.
// The provider is to be shut down at the end.
func Handler(options *eventhubs.Options, errorLog *log.Logger) (http.Handler, *metric.MeterProvider, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	reader, err := exporter.New(exporter.WithRegisterer(registry))
	if err != nil {
		return nil, nil, fmt.Errorf("metrics: the exporter: %w", err)
	}
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	options.Trace = eventhubs.JoinTraces(options.Trace, telemetry.NewTrace(&telemetry.Options{MeterProvider: provider, TracerProvider: tracenoop.NewTracerProvider(), DisablePropagation: true}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true, ErrorLog: errorLog}), provider, nil
}

// Addr returns the listening address.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close stops answering; until ctx ends it lets requests finish. It returns the errors of serving.
func (s *Server) Close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	s.serving.Wait()
	return errors.Join(err, s.failed, s.provider.Shutdown(ctx))
}
