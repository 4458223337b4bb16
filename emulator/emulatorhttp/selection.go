package emulatorhttp

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

const (
	defaultLimit = 50
	maxLimit     = 500

	// The limits of a search: events, bytes, and bytes of each body.
	maxSearched      = 20_000
	maxSearchedBytes = 64 << 20
	maxSearchedBody  = 64 << 10
)

// A selection is the part of a hub that a request asks for.
type selection struct {
	hub, partition string          // an empty partition stands for all of them
	from           *emulator.Start // nil: the newest events, newest first
	text           string          // in lower case, which the events must contain
	limit          int
}

// selectionOf reads a selection from a query.
func (h *handler) selectionOf(query url.Values) (selection, error) {
	s := selection{hub: query.Get("hub"), partition: query.Get("partition"), text: strings.ToLower(query.Get("q")), limit: defaultLimit}
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxLimit {
			return s, refuse(http.StatusBadRequest, "limit", "limit is %q; it must be between 1 and %d", text, maxLimit)
		}
		s.limit = n
	}
	ids := h.server.PartitionIDs(s.hub)
	if ids == nil || h.hidden(s.hub) {
		return s, refuse(http.StatusNotFound, "hub", "there is no hub %q", cut(s.hub, maxName))
	}
	if s.partition != "" && !contains(ids, s.partition) {
		return s, refuse(http.StatusNotFound, "partition", "hub %q has no partition %q", s.hub, cut(s.partition, maxName))
	}
	var err error
	s.from, err = startOf(query.Get("from"), s.partition, time.Now())
	return s, err
}

// startOf reads a place in a partition, in the words of "eventhubs tail --from". It is nil for the
// newest events.
func startOf(text, partition string, now time.Time) (*emulator.Start, error) {
	kind, value, _ := strings.Cut(text, ":")
	switch {
	case text == "" || text == "newest":
		return nil, nil
	case text == "start":
		return &emulator.Start{}, nil
	case kind == "sequence" || kind == "offset":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 {
			return nil, refuse(http.StatusBadRequest, "from", "from is %q; want a whole number from 0, as in %s:41", cut(text, maxName), kind)
		}
		if partition == "" {
			return nil, refuse(http.StatusBadRequest, "partition", "from is %q, which is a place in one partition: name the partition", cut(text, maxName))
		}
		if kind == "sequence" {
			return new(emulator.StartAtSequenceNumber(n)), nil
		}
		return new(emulator.StartAtOffset(n)), nil
	}
	moment := strings.TrimPrefix(text, "time:")
	if t, err := time.Parse(time.RFC3339, moment); err == nil {
		return new(emulator.StartAtTime(t)), nil
	}
	if d, err := time.ParseDuration(moment); err == nil && d <= 0 {
		return new(emulator.StartAtTime(now.Add(d))), nil
	}
	return nil, refuse(http.StatusBadRequest, "from",
		"from is %q; it must be newest, start, sequence:N, offset:N, a time in RFC 3339, or a time before now such as -15m", cut(text, maxName))
}

// in yields all events of the place, whatever they contain.
func (s *selection) in(server *emulator.Server) iter.Seq[emulator.Event] {
	if s.from == nil {
		return server.Newest(s.hub, s.partition)
	}
	return server.EventsFrom(s.hub, s.partition, *s.from)
}

// find calls found for each event of a selection. It returns how many events it looked at, and
// whether these were all. It ends early for a client that is gone.
func (h *handler) find(ctx context.Context, s *selection, found func(*emulator.Event)) (searched int, all bool) {
	bytes, n := 0, 0
	for e := range s.in(h.server) {
		if n == s.limit || searched == maxSearched || bytes > maxSearchedBytes || ctx.Err() != nil {
			return searched, false
		}
		searched++
		if s.text != "" {
			bytes += min(len(e.Message), maxSearchedBody)
		}
		if s.text == "" || matches(&e, s.text) {
			n++
			found(&e)
		}
	}
	return searched, true
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

func contains(ids []string, id string) bool {
	n, err := strconv.Atoi(id) // the ids are numbers from 0
	return err == nil && n >= 0 && n < len(ids) && ids[n] == id
}
