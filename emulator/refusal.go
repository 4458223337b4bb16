package emulator

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"
)

// Error conditions of the service that the emulator sends itself.
const (
	conditionNotFound        = "amqp:not-found"
	conditionNotAllowed      = "amqp:not-allowed"
	conditionNotImplemented  = "amqp:not-implemented"
	conditionInvalidField    = "amqp:invalid-field"
	conditionDecode          = "amqp:decode-error"
	conditionForced          = "amqp:connection:forced"
	conditionDetachForced    = "amqp:link:detach-forced"
	conditionSize            = "amqp:link:message-size-exceeded"
	conditionArgument        = "com.microsoft:argument-error"
	conditionArgumentRange   = "com.microsoft:argument-out-of-range"
	conditionServerBusy      = "com.microsoft:server-busy"
	conditionTimeout         = "com.microsoft:timeout"
	conditionUnauthorized    = "amqp:unauthorized-access"
	conditionAuthFailed      = "com.microsoft:auth-failed"
	conditionLimit           = "amqp:resource-limit-exceeded"
	conditionStolen          = "amqp:link:stolen"
	conditionDisabled        = "com.microsoft:entity-disabled"
	textInvalidPartition     = "The specified partition is invalid for an EventHub partition sender or receiver. It should be between 0 and %d."
	textEntityNotFound       = "The messaging entity '%s' could not be found."
	textEntityDisabled       = "The messaging entity '%s' is disabled."
	textCBSAlreadyOpened     = "$cbs node has already been opened."
	textMessageSizeExceeded  = "The received message (delivery-id:%d, size:%d bytes) exceeds the limit (%d bytes) currently allowed on the link."
	textConnectionGoesAway   = "The connection was closed because the emulator is shutting down."
	textTooManyConnections   = "The number of connections has reached its maximum of %d."
	textTooManyLinks         = "Cannot allocate more links on this connection. The maximum is %d."
	textUnknownLinkDirection = "The node '%s' takes no %s."
)

// A refusal is the service's answer when it refuses an operation.
type refusal struct {
	condition string
	text      string
}

// refuse makes a refusal whose text ends as the service's texts do. Clients log the tracking id,
// and some match the words before it.
func refuse(condition, format string, args ...any) *refusal {
	return &refusal{condition: condition, text: fmt.Sprintf(format, args...) + " " + tracking()}
}

// tracking is the end of every text of the service.
func tracking() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails, by its documentation
	return "TrackingId:" + hex.EncodeToString(id[:]) + "_G0, SystemTracker:emulator, Timestamp:" +
		time.Now().UTC().Format("2006-01-02T15:04:05")
}

// Error makes a refusal an error.
func (r *refusal) Error() string { return r.condition + ": " + r.text }

// status is the refusal's status code in replies of $cbs and $management.
func (r *refusal) status() int32 {
	switch r.condition {
	case conditionUnauthorized, conditionAuthFailed:
		return 401
	case conditionLimit:
		return 403
	case conditionNotFound:
		return 404
	case conditionTimeout:
		return 408
	case conditionStolen:
		return 410
	case conditionNotImplemented:
		return 501
	case conditionServerBusy:
		return 503
	case conditionArgument, conditionArgumentRange, conditionInvalidField, conditionNotAllowed, conditionDecode:
		return 400
	default:
		return 500
	}
}
