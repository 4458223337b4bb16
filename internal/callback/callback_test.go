package callback

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

func TestAFunctionThatEndsItsGoroutineIsNamed(t *testing.T) {
	if err := Call("f", func() {}); err != nil {
		t.Errorf("a function that returns: got %v", err)
	}
	ended, ok := errors.AsType[*EndedError](Call("f", runtime.Goexit))
	if !ok || ended.Function != "f" || !strings.HasPrefix(ended.Error(), "f ended its goroutine") {
		t.Errorf("got %v, want that f ended its goroutine", ended)
	}
}

func TestAResultIsThatOfTheFunction(t *testing.T) {
	refused := errors.New("refused")
	for _, c := range []struct {
		name string
		f    func() (int, error)
		want int
		err  error
	}{
		{"a value", func() (int, error) { return 7, nil }, 7, nil},
		{"an error", func() (int, error) { return 0, refused }, 0, refused},
		{"neither", func() (int, error) { runtime.Goexit(); return 7, nil }, 0, &EndedError{}},
	} {
		got, err := Result("f", c.f)
		_, ended := errors.AsType[*EndedError](err)
		_, wantEnded := errors.AsType[*EndedError](c.err)
		if got != c.want || ended != wantEnded || !ended && err != c.err {
			t.Errorf("%s: got %d, %v, want %d, %v", c.name, got, err, c.want, c.err)
		}
	}
}

// The function's deferred calls have run when Call returns.
func TestCallReturnsBehindWhatTheFunctionHasDeferred(t *testing.T) {
	deferred := false
	_ = Call("f", func() {
		defer func() { deferred = true }()
		runtime.Goexit()
	})
	if !deferred {
		t.Error("Call has returned before")
	}
}

// A panic ends the program with the function's stack, and the caller of Call does nothing more.
func TestAPanicEndsTheProgram(t *testing.T) {
	if os.Getenv("CALLBACK_PANIC") != "" {
		_ = Call("f", func() { panicking() })
		_, _ = os.Stdout.WriteString("Call has returned\n")
		os.Exit(0)
	}
	command := exec.Command(os.Args[0], "-test.run=TestAPanicEndsTheProgram")
	command.Env = append(os.Environ(), "CALLBACK_PANIC=1")
	out, err := command.CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("on purpose")) || !bytes.Contains(out, []byte("callback.panicking")) || bytes.Contains(out, []byte("Call has returned")) {
		t.Errorf("the program ended with %v and wrote\n%s", err, out)
	}
}

//go:noinline
func panicking() { panic("on purpose") }

// A quitter is a slog.Handler one of whose methods ends its goroutine.
type quitter struct {
	slog.Handler
	in string
}

func (q quitter) quit(in string) {
	if q.in == in {
		runtime.Goexit()
	}
}

func (q quitter) Enabled(ctx context.Context, l slog.Level) bool {
	q.quit("Enabled")
	return q.Handler.Enabled(ctx, l)
}

func (q quitter) Handle(ctx context.Context, r slog.Record) error {
	q.quit("Handle")
	return q.Handler.Handle(ctx, r)
}

func (q quitter) WithAttrs(a []slog.Attr) slog.Handler {
	q.quit("WithAttrs")
	return quitter{q.Handler.WithAttrs(a), q.in}
}

func (q quitter) WithGroup(g string) slog.Handler {
	q.quit("WithGroup")
	return quitter{q.Handler.WithGroup(g), q.in}
}

func TestALoggerGoesOnWhateverItsHandlerDoes(t *testing.T) {
	for in, want := range map[string]string{
		"":          "level=WARN msg=m a=1 g.b=2\n",
		"Enabled":   "",
		"Handle":    "",
		"WithAttrs": "level=WARN msg=m g.b=2\n",
		"WithGroup": "level=WARN msg=m a=1 b=2\n",
	} {
		var out bytes.Buffer
		text := slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})
		l := Logger(slog.New(quitter{text, in}))
		l.With("a", 1).WithGroup("g").Warn("m", "b", 2)
		if out.String() != want {
			t.Errorf("%q ends the goroutine: got %q, want %q", in, out.String(), want)
		}
		if Logger(l) != l {
			t.Error("a logger that is guarded is guarded again")
		}
	}
	if Logger(nil) != nil {
		t.Error("nil is not nil any more")
	}
}

func BenchmarkCall(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if err := Call("f", func() {}); err != nil {
			b.Fatal(err)
		}
	}
}
