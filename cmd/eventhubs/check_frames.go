package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// A frameSight is one AMQP frame that passed. Its fields are the JSON output, in this order.
type frameSight struct {
	Milliseconds float64 `json:"milliseconds"` // since the checkup began
	Sent         bool    `json:"sent"`         // by the client; otherwise by the service
	Frame        string  `json:"frame"`
}

// A frameLog writes frames as they pass, and keeps them. The connection's goroutines call it at the
// same time as the checkup.
type frameLog struct {
	process *process
	began   time.Time

	mu   sync.Mutex // guards the fields below, and what is written to out
	out  io.Writer
	seen []frameSight
}

func (l *frameLog) saw(sent bool, frame string) {
	s := frameSight{float64(time.Since(l.began).Microseconds()) / 1000, sent, l.process.redact(frame)}
	way := "←"
	if sent {
		way = "→"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, s)
	// An error of out also fails the steps' writes, which report it.
	_, _ = fmt.Fprintf(l.out, "%9.1f ms  %s %s\n", s.Milliseconds, way, s.Frame)
}

// Write writes the results of the steps to the same place.
func (l *frameLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(b)
}

func (l *frameLog) all() []frameSight {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen
}
