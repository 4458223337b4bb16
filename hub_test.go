package eventhubs

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// The decision record describes the interface of the transport, which can be replaced.
func TestTheSeamIsAsWideAsTheDecisionSays(t *testing.T) {
	text, err := os.ReadFile("docs/decisions/0012-one-amqp-engine.md")
	if err != nil {
		t.Fatal(err)
	}
	numbers := [...]string{7: "seven", 8: "eight", 9: "nine", 10: "ten", 11: "eleven"}
	if want := "an interface of " + numbers[reflect.TypeFor[link]().NumMethod()] + " calls"; !strings.Contains(string(text), want) {
		t.Errorf("the decision does not say %q", want)
	}
}
