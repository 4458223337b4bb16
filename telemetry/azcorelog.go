package telemetry

import (
	"context"
	"log/slog"

	azlog "github.com/Azure/azure-sdk-for-go/sdk/azcore/log"
)

// LogAzure passes the Azure SDK's log messages to a slog.Logger, each with the attribute "event".
// Most are the requests and responses of credentials (azidentity). If the program consumes with
// azeventhubs, its messages are among them. Error responses and retries have the level Warn, all
// others Debug. If events are given, only these are logged.
//
// The SDK has one listener for the whole process. Call LogAzure once, before making any of the
// SDK's clients. It is not safe to call while they run. A nil logger ends the logging.
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
