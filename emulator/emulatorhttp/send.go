package emulatorhttp

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
)

// maxEvent is the largest request that sends an event, in bytes. A body of 1 MiB has room in any
// form.
const maxEvent = 8 << 20

// A newEventRequest is the body of a request that sends an event.
type newEventRequest struct {
	hub, partition         string
	key                    string
	body                   *string
	bodyBase64             *[]byte
	properties             map[string]json.RawMessage
	messageID, contentType string
}

// send stores the event in the body, where a client's event would go.
func (h *handler) send(r *http.Request) (int, any, error) {
	var in newEventRequest
	err := readBody(r, map[string]any{
		"hub": &in.hub, "partition": &in.partition, "key": &in.key, "body": &in.body, "bodyBase64": &in.bodyBase64,
		"properties": &in.properties, "messageId": &in.messageID, "contentType": &in.contentType,
	})
	if err != nil {
		return 0, nil, err
	}
	hub, err := h.findHub(in.hub)
	if bad, ok := errors.AsType[*badRequest](err); ok {
		bad.Field = "hub"
		return 0, nil, bad
	}
	if hub.Disabled {
		return 0, nil, refuse(http.StatusConflict, "hub", "hub %s is disabled: enable it before you send", hub.Name)
	}
	if in.partition != "" && !contains(h.server.PartitionIDs(hub.Name), in.partition) {
		return 0, nil, refuse(http.StatusBadRequest, "partition", "hub %s has no partition %q, only 0 to %d", hub.Name, cut(in.partition, maxName), hub.Partitions-1)
	}
	event, err := in.event()
	if err != nil {
		return 0, nil, err
	}
	stored, err := h.server.Append(hub.Name, in.partition, event)
	if err != nil {
		return 0, nil, refuse(http.StatusConflict, "", "the event could not be stored: %s", strings.TrimPrefix(plain(err), "Append: "))
	}
	return http.StatusCreated, newEvent(&stored, brief), nil
}

// event makes the event, or says which field is wrong.
func (in *newEventRequest) event() (emulator.Event, error) {
	out := emulator.Event{PartitionKey: in.key, ContentType: in.contentType}
	if in.key != "" && in.partition != "" {
		return out, refuse(http.StatusBadRequest, "key", "an event goes to a partition or by its key: send only one of partition and key")
	}
	if err := partitionkey.Check(in.key); err != nil {
		return out, refuse(http.StatusBadRequest, "key", "the key %v", err)
	}
	if slices.ContainsFunc([]byte(in.contentType), func(c byte) bool { return c >= utf8.RuneSelf }) {
		return out, refuse(http.StatusBadRequest, "contentType", "contentType is %q: want ASCII", cut(in.contentType, maxName))
	}
	if in.messageID != "" {
		out.MessageID = in.messageID
	}
	switch {
	case in.body != nil && in.bodyBase64 != nil:
		return out, refuse(http.StatusBadRequest, "bodyBase64", "the event has two bodies: send only one of body and bodyBase64")
	case in.body != nil:
		out.Body = []byte(*in.body)
	case in.bodyBase64 != nil:
		out.Body = *in.bodyBase64
	}
	for name, content := range in.properties {
		value, ok := simple(content)
		if !ok {
			bad := refuse(http.StatusBadRequest, "properties", "the property %s is %s: want a string, a number, true, false or null; whole numbers are of 64 bits",
				cut(name, maxName), cut(string(content), maxName))
			bad.Value = cut(string(content), maxName)
			return out, bad
		}
		if out.Properties == nil {
			out.Properties = make(map[string]any, len(in.properties))
		}
		out.Properties[name] = value
	}
	return out, nil
}

// simple is a JSON value as the value of a property. A number without fraction and exponent is an
// AMQP long, any other number a double, as in the records of "publish --format events".
func simple(content json.RawMessage) (any, bool) {
	switch content[0] {
	case '{', '[':
		return nil, false
	case '"', 't', 'f', 'n':
		var v any
		return v, json.Unmarshal(content, &v) == nil
	}
	if strings.ContainsAny(string(content), ".eE") {
		f, err := strconv.ParseFloat(string(content), 64)
		return f, err == nil
	}
	n, err := strconv.ParseInt(string(content), 10, 64)
	return n, err == nil
}
