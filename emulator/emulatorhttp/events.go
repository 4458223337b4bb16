package emulatorhttp

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// eventsJSON is the answer to /api/events.
type eventsJSON struct {
	Events []eventJSON `json:"events"` // newest first, or oldest first from a start
	// Searched is how many events were examined. All says that these were all events.
	Searched int  `json:"searched"`
	All      bool `json:"all"`
}

// eventJSON is an event: whole in the answer to /api/event, with long parts cut in the answer to
// /api/events.
type eventJSON struct {
	Partition   string         `json:"partition"`
	Sequence    int64          `json:"sequence"`
	Offset      string         `json:"offset"`
	Enqueued    moment         `json:"enqueued"`
	Key         *string        `json:"key"` // null if it has none
	MessageID   string         `json:"messageId"`
	ContentType string         `json:"contentType"`
	Properties  []propertyJSON `json:"properties"` // application properties by name
	Annotations []propertyJSON `json:"annotations"`
	Bytes       int            `json:"bytes"` // of the whole event, encoded
	Body        bodyJSON       `json:"body"`
}

// events answers with the events of a selection.
func (h *handler) events(w http.ResponseWriter, r *http.Request) {
	selected, err := h.selectionOf(r.URL.Query())
	if err != nil {
		answerError(w, err)
		return
	}
	out := eventsJSON{Events: []eventJSON{}}
	out.Searched, out.All = h.find(r.Context(), &selected, func(e *emulator.Event) { out.Events = append(out.Events, newEvent(e, brief)) })
	answer(w, http.StatusOK, out)
}

// event answers with a whole event.
func (h *handler) event(w http.ResponseWriter, r *http.Request) {
	if e, ok := h.lookup(w, r); ok {
		answer(w, http.StatusOK, newEvent(&e, full))
	}
}

// body answers with an event's body, byte for byte, as a file that browsers do not display.
func (h *handler) body(w http.ResponseWriter, r *http.Request) {
	e, ok := h.lookup(w, r)
	if !ok {
		return
	}
	if e.Body == nil {
		fail(w, http.StatusNotFound, "the event's body is an AMQP value or sequence, which has no bytes of its own")
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="event-%s-%d.bin"`, e.PartitionID, e.SequenceNumber))
	w.Header().Set("Content-Length", strconv.Itoa(len(e.Body)))
	_, _ = w.Write(e.Body) // an error means that the client is gone
}

// lookup finds the event that a request names, or answers with an error.
func (h *handler) lookup(w http.ResponseWriter, r *http.Request) (emulator.Event, bool) {
	query := r.URL.Query()
	sequence, err := strconv.ParseInt(query.Get("sequence"), 10, 64)
	if err != nil {
		fail(w, http.StatusBadRequest, fmt.Sprintf("sequence is %q, which is not a number", query.Get("sequence")))
		return emulator.Event{}, false
	}
	hub, partition := query.Get("hub"), query.Get("partition")
	e, ok := h.server.Event(hub, partition, sequence)
	if !ok || h.hidden(hub) {
		fail(w, http.StatusNotFound, fmt.Sprintf("hub %q has no event %d in partition %q, or no longer has it", hub, sequence, partition))
		return emulator.Event{}, false
	}
	return e, true
}
