package scripted

import (
	"slices"
	"testing"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// EventsIn takes a batch apart, as a service does.
func EventsIn(t testing.TB, batch [][]byte) (events [][]byte) {
	t.Helper()
	var message []byte
	for _, piece := range batch {
		message = append(message, piece[amqp.FrameRoom:]...)
	}
	for s, err := range amqp.Sections(message) {
		if err != nil || s.Code != amqp.SectionData {
			t.Fatalf("a batch has a section of code 0x%x, or a broken one: %v", s.Code, err)
		}
		events = append(events, s.Raw[sectionHead(len(s.Raw)):])
	}
	return events
}

func BodyOf(t *testing.T, encoded []byte) string {
	m, err := amqp.ParseMessage(encoded)
	if err != nil {
		t.Errorf("an event on the wire does not decode: %v", err)
		return ""
	}
	return string(slices.Concat(m.Data...))
}
