package emulatorhttp

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/eventjson"
)

// records answers with events as a file of JSON lines, which "eventhubs publish --format events"
// takes. The request names the events one by one, or selects them as for /api/events.
func (h *handler) records(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	selected, err := h.selectionOf(query)
	var places []place
	if err == nil && query.Has("events") {
		places, err = placesOf(query.Get("events"))
	}
	if err != nil {
		answerError(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s.ndjson"`, unusual.ReplaceAllString(selected.hub, "_")))
	var line []byte
	write := func(e *emulator.Event) {
		line = append(appendRecord(line[:0], e), '\n')
		_, _ = w.Write(line) // an error means that the client is gone
	}
	if places == nil {
		h.find(r.Context(), &selected, write)
		return
	}
	for _, p := range places {
		if e, ok := h.server.Event(selected.hub, p.partition, p.sequence); ok && r.Context().Err() == nil {
			write(&e)
		}
	}
}

// unusual are the characters that a file's name does not get.
var unusual = regexp.MustCompile(`[^A-Za-z0-9._-]`)

// A place is an event's place in its hub.
type place struct {
	partition string
	sequence  int64
}

// placesOf reads a list such as "0:17,3:5": partitions with sequence numbers.
func placesOf(list string) ([]place, error) {
	texts := strings.Split(list, ",")
	if len(texts) > maxLimit {
		return nil, refuse(http.StatusBadRequest, "events", "events names %d events; want at most %d", len(texts), maxLimit)
	}
	places := make([]place, len(texts))
	for i, text := range texts {
		partition, number, _ := strings.Cut(text, ":")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, refuse(http.StatusBadRequest, "events", "events has %q; want a partition and a sequence number, as in 0:17", cut(text, maxName))
		}
		places[i] = place{partition, n}
	}
	return places, nil
}

// appendRecord appends an event as one line of JSON. An event that is not a valid AMQP message has
// an error in place of its contents, and publish refuses that line.
func appendRecord(dst []byte, e *emulator.Event) []byte {
	m, err := amqp.ParseMessage(e.Message)
	if err != nil {
		text, _ := json.Marshal(struct { // texts and a number are encodable
			Partition      string `json:"partition"`
			SequenceNumber int64  `json:"sequenceNumber"`
			Error          string `json:"error"`
		}{e.PartitionID, e.SequenceNumber, "the event is not a valid AMQP message: " + err.Error()})
		return append(dst, text...)
	}
	record := eventjson.Event{
		Partition: e.PartitionID, SequenceNumber: e.SequenceNumber, Offset: e.Offset,
		EnqueuedTime: e.EnqueuedTime.UTC().Format(time.RFC3339Nano), Message: eventjson.New(&m),
	}
	return record.AppendTo(dst)
}
