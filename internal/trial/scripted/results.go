package scripted

import (
	"errors"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// Answers makes each try of a partition end with the result that the test has put into the map.
func Answers(peer *Hub) (answers map[string]connection.Result) {
	answers = map[string]connection.Result{}
	peer.Answer = func(s Sent) connection.Result {
		peer.Mu.Lock()
		defer peer.Mu.Unlock()
		if r, ok := answers[s.Partition]; ok {
			return r
		}
		return connection.Result{Outcome: connection.Accepted}
	}
	return answers
}

// Unreachable returns a function that makes links fail to open, or open again.
func Unreachable(peer *Hub) (setDown func(bool)) {
	down := false
	peer.Open = func(string) error {
		peer.Mu.Lock()
		defer peer.Mu.Unlock()
		if down {
			return &connection.Error{Code: connection.CodeConnectionLost, Transient: true, Unreached: true, Err: errors.New("no route")}
		}
		return nil
	}
	return func(d bool) {
		peer.Mu.Lock()
		defer peer.Mu.Unlock()
		down = d
	}
}

// Unauthorized returns the error of a refused try, with every detail that a service gives.
func Unauthorized() error {
	return &connection.Error{Code: connection.CodeUnauthorized, Condition: "amqp:unauthorized-access", Description: "InvalidSignature",
		TrackingID: "t-1", Transient: true, Err: errors.New("amqp:unauthorized-access: InvalidSignature")}
}

// TooLarge returns the result of a try that the service has refused for its size.
func TooLarge(outcome connection.Outcome) connection.Result {
	return connection.Result{Outcome: outcome, Err: &connection.Error{Code: connection.CodeTooLarge, Condition: "amqp:link:message-size-exceeded", Err: errors.New("too large")}}
}

// Transient returns the result of a try that ended without a final failure.
func Transient(outcome connection.Outcome) connection.Result {
	return connection.Result{Outcome: outcome, Err: &connection.Error{Code: connection.CodeConnectionLost, Err: errors.New("the line is cut"), Transient: true}}
}

// Refused returns the result of a try that the service has refused for good.
func Refused(why string) connection.Result {
	return connection.Result{Outcome: connection.Rejected, Err: &connection.Error{
		Code: connection.CodeRejected, Condition: "amqp:not-allowed", Description: why, Err: errors.New(why)}}
}

// Throttling answers each try by turns: too busy, and stored.
func Throttling(peer *Hub) {
	tries := map[string]int{}
	peer.Answer = func(s Sent) connection.Result {
		peer.Mu.Lock()
		defer peer.Mu.Unlock()
		if tries[s.Partition]++; tries[s.Partition]%2 == 1 {
			return Failing(connection.Error{Code: connection.CodeThrottled, Transient: true, Wait: time.Millisecond})
		}
		return connection.Result{Outcome: connection.Accepted}
	}
}

// Failing returns the result of a try that did not reach the service.
func Failing(e connection.Error) connection.Result {
	e.Err = errors.New("no")
	return connection.Result{Outcome: connection.NotSent, Err: &e}
}
