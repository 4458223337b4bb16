package telemetry

import (
	"cmp"

	"github.com/go-eventhubs/eventhubs"
)

// errorType is an error's value of error.type: few different ones, that stay the same. It is empty for nil.
func errorType(err error) string {
	if err == nil {
		return ""
	}
	return cmp.Or(string(eventhubs.CodeOf(err)), "_OTHER")
}
