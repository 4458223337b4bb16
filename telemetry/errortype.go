package telemetry

import (
	"cmp"

	"github.com/go-eventhubs/eventhubs"
)

// errorType returns an error's value of error.type: one of few, stable values. It is empty for nil.
func errorType(err error) string {
	if err == nil {
		return ""
	}
	return cmp.Or(string(eventhubs.CodeOf(err)), "_OTHER")
}
