package hub

import (
	"strings"
	"testing"
)

func TestAVariableThatIsSetAndEmptyIsRefused(t *testing.T) {
	for _, value := range []string{"", " \n"} {
		t.Setenv("EVENTHUBS_CONNECTION_STRING", value)
		if h, err := Open(1, 0); err == nil || !strings.Contains(err.Error(), "EVENTHUBS_CONNECTION_STRING is set and empty") {
			t.Errorf("%q: got %v, %v, want an error that names the variable", value, h, err)
		}
	}
	t.Setenv("EVENTHUBS_CONNECTION_STRING", "Endpoint=sb://h/;EntityPath=e")
	if h, err := Open(1, 0); err != nil || h.server != nil || h.ConnectionString != "Endpoint=sb://h/;EntityPath=e" {
		t.Errorf("got %+v, %v, want the hub that the variable names", h, err)
	}
}
