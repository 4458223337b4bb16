package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Names of the checks of idempotent producers. It is not known which numbers the service reports
// when a link is attached again (see emulator.Idempotence). So each check runs both ways.
const (
	nameIdempotent         = "idempotent publishing"
	nameIdempotentReported = "idempotent publishing, numbers reported"
	nameReplaced           = "idempotent producer replaced"
	nameReplacedReported   = "idempotent producer replaced, numbers reported"

	// lostBatch is the batch whose acknowledgement is lost.
	lostBatch = 3
)

// noIdempotence adds the reason why a client has none of these checks.
func noIdempotence(other map[string]string) map[string]string {
	for _, name := range []string{nameIdempotent, nameIdempotentReported, nameReplaced, nameReplacedReported} {
		other[name] = "it has none"
	}
	return other
}

// A publishing is an idempotent producer's state, as the JavaScript client reports it.
type publishing struct {
	IsIdempotentPublishingEnabled bool
	LastPublishedSequenceNumber   *int64
	ProducerGroupID               int64
	OwnerLevel                    int64
}

// judgeIdempotent wants a batch whose acknowledgement was lost to be sent again, and stored once.
func judgeIdempotent(w *world, o *observation) error {
	return judgeNumbered(w, o, numbered(o.Events))
}

// judgeIdempotentReported wants the JavaScript client's known behaviour at a service that reports
// the number it tracks. The client takes that number over. So the batch, which is already stored,
// gets new numbers and is stored again.
func judgeIdempotentReported(w *world, o *observation) error {
	if o.Batches == 0 {
		return errors.New("nothing was published")
	}
	each := o.Events / o.Batches
	bodies := numbered(o.Events)
	lost := bodies[(lostBatch-1)*each : lostBatch*each]
	return judgeNumbered(w, o, slices.Insert(bodies, lostBatch*each, slices.Clone(lost)...))
}

// judgeNumbered wants the bodies to be stored in this order, counted by the client, and read.
func judgeNumbered(w *world, o *observation, bodies []string) error {
	if n := len(w.transferConnections(hubOf(o.Check))); n != o.Batches+1 {
		return fmt.Errorf("the client sent %d batches, want %d and one of them again", n, o.Batches)
	}
	if !o.After.IsIdempotentPublishingEnabled || o.Before.LastPublishedSequenceNumber == nil || o.After.LastPublishedSequenceNumber == nil {
		return errors.New("idempotent publishing is not enabled")
	}
	if before, after := *o.Before.LastPublishedSequenceNumber, *o.After.LastPublishedSequenceNumber; after-before != int64(len(bodies)) {
		return fmt.Errorf("the last published sequence number went from %d to %d, want it to be %d more", before, after, len(bodies))
	}
	return judgeOrder(w, o, bodies)
}

// judgeReplaced wants the later producer, with a higher epoch, to publish, and the other one to get
// an error.
func judgeReplaced(w *world, o *observation) error {
	// For a refused send the client reports the condition, for a link only the text.
	if !strings.Contains(o.Stolen.Code, "ProducerDisconnected") {
		return fmt.Errorf("the producer with the lower epoch got %+v, which does not mention the other one", o.Stolen)
	}
	if !strings.Contains(o.Refused.Message, "higher epoch") {
		return fmt.Errorf("the producer with the lower epoch got %+v when it came back, which does not mention the other one", o.Refused)
	}
	if o.After.ProducerGroupID != o.Before.ProducerGroupID || o.After.OwnerLevel != o.Before.OwnerLevel+1 {
		return fmt.Errorf("the later producer is %+v, want the id of the earlier one, %+v, and the next epoch", o.After, o.Before)
	}
	return judgeOrder(w, o, numbered(o.Events))
}

// judgeOrder wants the only partition to hold these bodies in this order, and the client's consumer
// to have read them so.
func judgeOrder(w *world, o *observation, bodies []string) error {
	var stored []received
	for e := range w.serverOf(o.Check).Events(hubOf(o.Check), "0") {
		stored = append(stored, asReceived(e))
	}
	var got []string
	for _, e := range stored {
		got = append(got, e.Body)
	}
	if !slices.Equal(got, bodies) {
		return fmt.Errorf("stored are %q, want %q", got, bodies)
	}
	if !slices.Equal(o.Received, stored) {
		return fmt.Errorf("the client received %+v, want %+v", o.Received, stored)
	}
	return nil
}
