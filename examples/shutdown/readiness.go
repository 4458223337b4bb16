package main

import (
	"context"
	"net/http"
	"time"

	"github.com/go-eventhubs/eventhubs"
)

// readiness fails from the signal on, so that no new work arrives. It also fails after a minute of
// failed publishing.
func readiness(ctx context.Context, producer *eventhubs.BufferedProducer) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if health := producer.Health(); ctx.Err() != nil || health.Err != nil && time.Since(health.Since) > time.Minute {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}
}

func ready(url string) string {
	response, err := http.Get(url)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	return response.Status
}
