package producerhttp

import (
	"time"

	"github.com/go-eventhubs/eventhubs/internal/producerview"
)

// windows are the times that rates cover.
var windows = [...]time.Duration{time.Minute, 5 * time.Minute, producerview.Kept}

// leastWindow is the shortest time that a rate covers.
const leastWindow = time.Second

// A rate has numbers per second, over a time that ends now.
type rate struct {
	Seconds              float64 `json:"seconds"`
	AcceptedEvents       float64 `json:"acceptedEvents"`
	StoredEvents         float64 `json:"storedEvents"`
	StoredBytes          float64 `json:"storedBytes"`
	StoredBatches        float64 `json:"storedBatches"`
	NotStoredEvents      float64 `json:"notStoredEvents"`
	PossiblyStoredEvents float64 `json:"possiblyStoredEvents"`
	Retries              float64 `json:"retries"`
	ThrottledTries       float64 `json:"throttledTries"`
}

// totals are those of a moment as numbers that can be between two of them.
type totals struct {
	buffered, stored, bytes, batches, notStored, possibly, retries, throttled float64
}

func (t *totals) accepted() float64 { return t.buffered + t.stored + t.notStored + t.possibly }

func totalsOf(m *producerview.Moment) totals {
	return totals{
		buffered: float64(m.Buffered), stored: float64(m.StoredEvents), bytes: float64(m.StoredBytes), batches: float64(m.StoredBatches),
		notStored: float64(m.NotStoredEvents), possibly: float64(m.PossiblyStoredEvents),
		retries: float64(m.Retries), throttled: float64(m.ThrottledTries),
	}
}

// totalsAt returns the totals at a time within the moments. Between two of them all totals change
// within producerview.Interval after the first, except buffered. Within its time a change is taken
// as even.
func totalsAt(moments []producerview.Moment, at time.Time) totals {
	i := 0
	for i+1 < len(moments)-1 && !moments[i+1].At.After(at) {
		i++
	}
	a, b := &moments[i], &moments[min(i+1, len(moments)-1)]
	x, y := totalsOf(a), totalsOf(b)
	share := func(span time.Duration) float64 {
		if span <= 0 {
			return 1
		}
		return max(0, min(1, float64(at.Sub(a.At))/float64(span)))
	}
	span := b.At.Sub(a.At)
	soon := share(min(span, producerview.Interval))
	between := func(x, y float64) float64 { return x + (y-x)*soon }
	return totals{
		buffered: x.buffered + (y.buffered-x.buffered)*share(span),
		stored:   between(x.stored, y.stored), bytes: between(x.bytes, y.bytes), batches: between(x.batches, y.batches),
		notStored: between(x.notStored, y.notStored), possibly: between(x.possibly, y.possibly),
		retries: between(x.retries, y.retries), throttled: between(x.throttled, y.throttled),
	}
}

// ratesOf returns the rates over the windows. The last one covers all moments, if they do not reach
// as far back.
func ratesOf(moments []producerview.Moment) []rate {
	rates := []rate{}
	last := moments[len(moments)-1]
	reach := last.At.Sub(moments[0].At)
	for i, window := range windows {
		if window > reach {
			if i > 0 && reach <= windows[i-1] || reach < leastWindow {
				break
			}
			window = reach
		}
		rates = append(rates, rateBetween(moments, last.At.Add(-window), last.At))
	}
	return rates
}

func rateBetween(moments []producerview.Moment, from, to time.Time) rate {
	a, b, seconds := totalsAt(moments, from), totalsAt(moments, to), to.Sub(from).Seconds()
	per := func(a, b float64) float64 { return max(0, b-a) / seconds }
	return rate{
		Seconds: seconds, AcceptedEvents: per(a.accepted(), b.accepted()),
		StoredEvents: per(a.stored, b.stored), StoredBytes: per(a.bytes, b.bytes), StoredBatches: per(a.batches, b.batches),
		NotStoredEvents: per(a.notStored, b.notStored), PossiblyStoredEvents: per(a.possibly, b.possibly),
		Retries: per(a.retries, b.retries), ThrottledTries: per(a.throttled, b.throttled),
	}
}

// column is the time that one point of the chart covers, and columns is their number.
const (
	column  = 15 * time.Second
	columns = int(producerview.Kept / column)
)

// columnsOf returns the rates for the chart, the oldest first. The first ones are missing before
// the moments begin: nothing is known of that time.
func columnsOf(moments []producerview.Moment) (rates []rate) {
	last := moments[len(moments)-1].At
	for i := range columns {
		from := last.Add(-time.Duration(columns-i) * column)
		if !from.Before(moments[0].At) {
			rates = append(rates, rateBetween(moments, from, from.Add(column)))
		}
	}
	return rates
}
