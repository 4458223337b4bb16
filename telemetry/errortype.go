package telemetry

import (
	"context"
	"errors"

	"github.com/go-eventhubs/eventhubs"
)

// sentinels are the values of error.type for what the application has brought about itself, the more specific first.
var sentinels = []struct {
	err  error
	name string
}{
	{eventhubs.ErrCleared, "cleared"},
	{eventhubs.ErrAbandoned, "abandoned"},
	{eventhubs.ErrExpired, "expired"},
	{eventhubs.ErrEventTooLarge, string(eventhubs.CodeTooLarge)},
	{eventhubs.ErrPartitionStopped, "partition-stopped"},
	{eventhubs.ErrPartitionUnknown, "partition-unknown"},
	{eventhubs.ErrClosed, "closed"},
	{context.Canceled, string(eventhubs.CodeCanceled)},
}

// errorType is an error's value of error.type: few different ones, that stay the same. It is empty for nil.
func errorType(err error) string {
	if err == nil {
		return ""
	}
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			return s.name
		}
	}
	if e, ok := errors.AsType[*eventhubs.Error](err); ok {
		return string(e.Code)
	}
	return "_OTHER"
}
