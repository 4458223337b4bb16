package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/eventjson"
)

func parseTimespan(content json.RawMessage) (any, error) {
	text, err := plainText(content)
	d, bad := time.ParseDuration(text)
	if err = errors.Join(err, bad); err != nil || d%eventjson.Tick != 0 {
		return nil, fmt.Errorf("%s, which is no duration in whole units of 100 ns, such as \"1m30.5s\"", shortened(content))
	}
	return amqp.Described{Descriptor: eventjson.SymbolTimespan, Value: int64(d / eventjson.Tick)}, nil
}

func parseDatetimeOffset(content json.RawMessage) (any, error) {
	text, err := plainText(content)
	t, bad := time.Parse(time.RFC3339Nano, text)
	seconds := t.Unix() - eventjson.Year1.Unix()
	if err = errors.Join(err, bad); err != nil || t.Nanosecond()%int(eventjson.Tick) != 0 || seconds < 0 || t.UTC().Year() > 9999 {
		return nil, fmt.Errorf("%s, which is no time in RFC 3339 in whole units of 100 ns, of the years 1 to 9999", shortened(content))
	}
	return amqp.Described{Descriptor: eventjson.SymbolDatetimeOffset, Value: seconds*int64(time.Second/eventjson.Tick) + int64(t.Nanosecond())/int64(eventjson.Tick)}, nil
}

func parseURI(content json.RawMessage) (any, error) {
	text, err := plainText(content)
	return amqp.Described{Descriptor: eventjson.SymbolURI, Value: text}, err
}
