package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/local"
)

const (
	// healthHub is the hub for the health check's events.
	healthHub = "eventhubs-emulator-health"

	// probeTimeout bounds one check.
	probeTimeout = 5 * time.Second
)

// A health answers GET /health like the official emulator: status 200 or 503, with a body such as
// {"status":"healthy","message":"Service is healthy."}.
type health struct {
	// Immutable.
	server   *emulator.Server
	listener net.Listener
	http     *http.Server
	done     chan struct{}      // closed when http has ended
	turn     chan struct{}      // holds a token during a probe
	cancel   context.CancelFunc // ends the probes
}

// startHealth begins to answer requests. The server must have the hub healthHub. Errors of the HTTP
// server go to tell.
func startHealth(server *emulator.Server, addr string, tell func(string)) (*health, error) {
	listener, err := local.Listen(addr)
	if err != nil {
		return nil, cannotListen("--health", addr, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h := &health{server: server, listener: listener, done: make(chan struct{}), turn: make(chan struct{}, 1), cancel: cancel}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", h.answer)
	h.http = newHTTPServer(addr, mux, tell)
	h.http.BaseContext = func(net.Listener) context.Context { return ctx }
	// The goroutine ends when close closes h.http. close waits for it.
	go func() {
		defer close(h.done)
		_ = h.http.Serve(listener) // http.ErrServerClosed, always
	}()
	return h, nil
}

func (h *health) addr() string { return h.listener.Addr().String() }

// close ends the running probes, and waits for their answers.
func (h *health) close() {
	h.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	if h.http.Shutdown(ctx) != nil {
		h.http.Close()
	}
	<-h.done
}

func (h *health) answer(w http.ResponseWriter, r *http.Request) {
	answer := struct {
		Status  string `json:"status"`
		Message string `json:"message"`
	}{"healthy", "Service is healthy."}
	status := http.StatusOK
	if err := h.check(r.Context()); err != nil {
		status = http.StatusServiceUnavailable
		answer.Status, answer.Message = "unhealthy", "An event cannot be sent: "+err.Error()
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // an error means that the client has gone
}

// check sends an event as any client would. There is one check at a time. A busy namespace, as
// --throughput-units makes it, counts as healthy.
func (h *health) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, probeTimeout, fmt.Errorf("no acknowledgement within %v", probeTimeout))
	defer cancel()
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	err := h.send(ctx)
	if e, ok := errors.AsType[*connection.Error](err); ok && e.Code == connection.CodeThrottled {
		return nil
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// send sends an event over a new connection.
func (h *health) send(ctx context.Context) error {
	to := clientOptions{connectionString: h.server.ConnectionString(healthHub), tls: h.server.TLSConfig()}
	if err := to.read(nil); err != nil {
		return err
	}
	conn := to.connect("eventhubs-health")
	defer func() {
		ctx, cancel := closing(ctx)
		defer cancel()
		_ = conn.Close(ctx) // the event's outcome is known
	}()
	sender := conn.Sender(healthHub, "", "eventhubs-health")
	return sender.Send(ctx, connection.BatchOf(dataMessage("probe"))).Err
}
