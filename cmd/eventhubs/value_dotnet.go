package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// Types that .NET's clients describe, each by a symbol. The first two are numbers of ticks, of
// 100 ns each; a datetime-offset counts from the year 1, in UTC.
const (
	kindTimespan       = "timespan"       // a duration in Go's form, such as "1m30.5s"
	kindDatetimeOffset = "datetimeOffset" // a time in RFC 3339, in UTC
	kindURI            = "uri"            // text

	symbolTimespan       = amqp.Symbol("com.microsoft:timespan")
	symbolDatetimeOffset = amqp.Symbol("com.microsoft:datetime-offset")
	symbolURI            = amqp.Symbol("com.microsoft:uri")

	tick = 100 * time.Nanosecond
	// maxTicks is the last tick of the year 9999.
	maxTicks = 3155378975999999999
)

// year1 is tick 0 of a datetime-offset.
var year1 = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)

// describeDotNet is describeValue for a value of .NET's; kind is empty for any other, and for one
// that would not come back as it is.
func describeDotNet(d amqp.Described) (kind string, content any) {
	switch d.Descriptor {
	case symbolTimespan:
		if n, ok := d.Value.(int64); ok && n >= math.MinInt64/int64(tick) && n <= math.MaxInt64/int64(tick) {
			return kindTimespan, (time.Duration(n) * tick).String()
		}
	case symbolDatetimeOffset:
		if n, ok := d.Value.(int64); ok && n >= 0 && n <= maxTicks {
			const perSecond = int64(time.Second / tick)
			return kindDatetimeOffset, time.Unix(year1.Unix()+n/perSecond, n%perSecond*int64(tick)).UTC().Format(time.RFC3339Nano)
		}
	case symbolURI:
		if text, ok := d.Value.(string); ok {
			if kind, content := describeValue(text); kind == "" {
				return kindURI, content
			}
		}
	}
	return "", nil
}

func parseTimespan(content json.RawMessage) (any, error) {
	text, err := plainText(content)
	d, bad := time.ParseDuration(text)
	if err = errors.Join(err, bad); err != nil || d%tick != 0 {
		return nil, fmt.Errorf("%s, which is no duration in whole units of 100 ns, such as \"1m30.5s\"", shortened(content))
	}
	return amqp.Described{Descriptor: symbolTimespan, Value: int64(d / tick)}, nil
}

func parseDatetimeOffset(content json.RawMessage) (any, error) {
	text, err := plainText(content)
	t, bad := time.Parse(time.RFC3339Nano, text)
	seconds := t.Unix() - year1.Unix()
	if err = errors.Join(err, bad); err != nil || t.Nanosecond()%int(tick) != 0 || seconds < 0 || t.UTC().Year() > 9999 {
		return nil, fmt.Errorf("%s, which is no time in RFC 3339 in whole units of 100 ns, of the years 1 to 9999", shortened(content))
	}
	return amqp.Described{Descriptor: symbolDatetimeOffset, Value: seconds*int64(time.Second/tick) + int64(t.Nanosecond())/int64(tick)}, nil
}

func parseURI(content json.RawMessage) (any, error) {
	text, err := plainText(content)
	return amqp.Described{Descriptor: symbolURI, Value: text}, err
}
