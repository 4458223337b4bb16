package eventjson

import (
	"math"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// Types that .NET's clients describe, each by a symbol. The first two are numbers of ticks, of 100
// ns each; a datetime-offset counts from the year 1, in UTC.
const (
	KindTimespan       = "timespan"       // a duration in Go's form, such as "1m30.5s"
	KindDatetimeOffset = "datetimeOffset" // a time in RFC 3339, in UTC
	KindURI            = "uri"            // text

	SymbolTimespan       = amqp.Symbol("com.microsoft:timespan")
	SymbolDatetimeOffset = amqp.Symbol("com.microsoft:datetime-offset")
	SymbolURI            = amqp.Symbol("com.microsoft:uri")

	Tick = 100 * time.Nanosecond
	// MaxTicks is the last Tick of the year 9999.
	MaxTicks = 3155378975999999999
)

// Year1 is Tick 0 of a datetime-offset.
var Year1 = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)

// describeDotNet is Describe for a value of .NET's; kind is empty for any other, and for one that
// would not come back as it is.
func describeDotNet(d amqp.Described) (kind string, content any) {
	switch d.Descriptor {
	case SymbolTimespan:
		if n, ok := d.Value.(int64); ok && n >= math.MinInt64/int64(Tick) && n <= math.MaxInt64/int64(Tick) {
			return KindTimespan, (time.Duration(n) * Tick).String()
		}
	case SymbolDatetimeOffset:
		if n, ok := d.Value.(int64); ok && n >= 0 && n <= MaxTicks {
			const perSecond = int64(time.Second / Tick)
			return KindDatetimeOffset, time.Unix(Year1.Unix()+n/perSecond, n%perSecond*int64(Tick)).UTC().Format(time.RFC3339Nano)
		}
	case SymbolURI:
		if text, ok := d.Value.(string); ok {
			if kind, content := Describe(text); kind == "" {
				return KindURI, content
			}
		}
	}
	return "", nil
}
