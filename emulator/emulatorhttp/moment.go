package emulatorhttp

import (
	"fmt"
	"time"
)

// A moment is a time of an event. Seed and stores may have any that an AMQP timestamp has. JSON of
// package time refuses years that have not four digits.
type moment struct{ time.Time }

// MarshalJSON returns the time in RFC 3339, with a signed year of six digits or more outside of the
// years 0 to 9999. That is the extended form of ISO 8601, which browsers read.
func (m moment) MarshalJSON() ([]byte, error) {
	t := m.UTC()
	if year := t.Year(); year < 0 || year > 9999 {
		return fmt.Appendf(nil, "\"%+07d-%s\"", year, t.Format("01-02T15:04:05.999999999Z07:00")), nil
	}
	return t.MarshalJSON()
}
