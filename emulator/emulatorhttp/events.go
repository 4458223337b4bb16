package emulatorhttp

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// eventsJSON is the answer to /api/events.
type eventsJSON struct {
	Events []eventJSON `json:"events"` // newest first
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

const (
	defaultLimit = 50
	maxLimit     = 500

	// The limits of a search: events, bytes, and bytes of each body.
	maxSearched      = 20_000
	maxSearchedBytes = 64 << 20
	maxSearchedBody  = 64 << 10
)

// events answers with the newest events of a hub or a partition.
func (h *handler) events(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	hub, partition, limit := query.Get("hub"), query.Get("partition"), defaultLimit
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxLimit {
			fail(w, http.StatusBadRequest, fmt.Sprintf("limit is %q; it must be between 1 and %d", text, maxLimit))
			return
		}
		limit = n
	}
	ids := h.server.PartitionIDs(hub)
	if ids == nil || h.hidden(hub) {
		fail(w, http.StatusNotFound, fmt.Sprintf("there is no hub %q", hub))
		return
	}
	if partition != "" && !contains(ids, partition) {
		fail(w, http.StatusNotFound, fmt.Sprintf("hub %q has no partition %q", hub, partition))
		return
	}
	answer(w, http.StatusOK, h.find(r.Context(), hub, partition, strings.ToLower(query.Get("q")), limit))
}

// find finds the newest events that contain text; every event contains an empty text.
func (h *handler) find(ctx context.Context, hub, partition, text string, limit int) eventsJSON {
	out := eventsJSON{Events: []eventJSON{}, All: true}
	bytes := 0
	for e := range h.server.Newest(hub, partition) {
		if len(out.Events) == limit || out.Searched == maxSearched || bytes > maxSearchedBytes || ctx.Err() != nil {
			out.All = false
			break
		}
		out.Searched++
		if text != "" {
			bytes += min(len(e.Message), maxSearchedBody)
		}
		if text == "" || matches(&e, text) {
			out.Events = append(out.Events, newEvent(&e, brief))
		}
	}
	return out
}

// matches reports whether a searchable part of an event contains text, which is in lower case.
func matches(e *emulator.Event, text string) bool {
	in := func(s string) bool { return strings.Contains(strings.ToLower(s), text) }
	if in(e.PartitionKey) || in(e.ContentType) || in(show(e.MessageID)) || in(string(e.Body[:min(len(e.Body), maxSearchedBody)])) {
		return true
	}
	for name, value := range e.Properties {
		if in(name) || in(show(value)) {
			return true
		}
	}
	return false
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

func contains(ids []string, id string) bool {
	n, err := strconv.Atoi(id) // the ids are numbers from 0
	return err == nil && n >= 0 && n < len(ids) && ids[n] == id
}
