package emulatortest_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
)

func TestServerIsClosedWhenItsTestEnds(t *testing.T) {
	var server *emulator.Server
	t.Run("inner", func(t *testing.T) {
		server = emulatortest.New(t, nil)
		if _, err := server.Dial(t.Context()); err != nil {
			t.Errorf("Dial while the test runs: %v", err)
		}
	})
	if _, err := server.Dial(t.Context()); !errors.Is(err, emulator.ErrClosed) {
		t.Errorf("Dial when the test has ended: %v, want ErrClosed", err)
	}
}

// A recorder is a test that fails into a buffer.
type recorder struct {
	testing.TB
	output bytes.Buffer
	failed string
}

func (r *recorder) Output() io.Writer { return &r.output }
func (r *recorder) Fatal(args ...any) { r.failed = args[0].(error).Error(); panic(r) }

func TestServerThatCannotStartFailsTheTest(t *testing.T) {
	r := &recorder{TB: t}
	defer func() {
		if recover() != r || !strings.Contains(r.failed, "Options.MaxMessageSize") {
			t.Errorf("New failed the test with %q", r.failed)
		}
	}()
	emulatortest.New(r, &emulator.Options{MaxMessageSize: -1})
}
