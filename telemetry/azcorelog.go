package telemetry

import (
	"context"
	"log/slog"

	azlog "github.com/Azure/azure-sdk-for-go/sdk/azcore/log"
)

// LogAzure hands what the Azure SDK logs to a slog.Logger, with the attribute "event": requests and responses of credentials (azidentity) above all, and what azeventhubs does if the
// program consumes with it. Responses with an error and retries are warnings, the rest is for debugging. Without events named all are logged.
//
// The SDK has one listener for the whole process: call LogAzure once, before any of its clients is made; it is not safe to call while they run. A nil logger ends it.
func LogAzure(logger *slog.Logger, events ...azlog.Event) {
	if logger == nil {
		azlog.SetListener(nil)
		return
	}
	azlog.SetEvents(events...)
	azlog.SetListener(func(event azlog.Event, message string) {
		level := slog.LevelDebug
		if event == azlog.EventResponseError || event == azlog.EventRetryPolicy {
			level = slog.LevelWarn
		}
		logger.Log(context.Background(), level, message, "event", string(event))
	})
}
