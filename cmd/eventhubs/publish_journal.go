package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs"
)

// offlineLook is how long a run with a journal waits for the hub before it reads the input.
const offlineLook = 3 * time.Second

// journalSyncs are the values of --journal-sync.
var journalSyncs = map[string]eventhubs.JournalSync{"each": eventhubs.SyncEach, "interval": eventhubs.SyncInterval, "os": eventhubs.SyncOS}

// journalFlags are the values of the flags about the journal.
type journalFlags struct {
	directory, sync string
	most            int64
}

func (opts *publishOptions) registerJournal(flags *flag.FlagSet) *journalFlags {
	f := &journalFlags{}
	flags.StringVar(&f.directory, "journal", "", "")
	flags.StringVar(&f.sync, "journal-sync", "each", "")
	flags.Int64Var(&f.most, "journal-max", 0, "")
	flags.BoolVar(&opts.atLeastOnce, "at-least-once", false, "")
	return f
}

// checkJournal checks the flags about the journal, and those that do not go together with it.
func (opts *publishOptions) checkJournal(given map[string]bool, f *journalFlags) error {
	if !given["journal"] {
		for _, name := range []string{"journal-sync", "journal-max", "at-least-once"} {
			if given[name] {
				return badInput("--%s is for --journal only", name)
			}
		}
		return nil
	}
	sync, ok := journalSyncs[f.sync]
	switch {
	case !ok:
		return badInput("--journal-sync is %q; it must be each, interval or os", f.sync)
	case given["journal-max"] && f.most < 1:
		return badInput("--journal-max is %d; it must be at least 1 byte", f.most)
	case opts.embedded():
		return badInput("--journal needs a namespace: the emulator inside the command would be gone at the next run. Give a connection string or --namespace")
	case opts.repeat > 1:
		return badInput("--repeat and --journal are given together; a journal keeps each line once")
	}
	if len(opts.files) == 0 {
		for _, name := range []string{"format", "key", "message-id", "correlation-id", "property-field", "property", "content-type", "separator", "skip-bad", "resume", "from-line", "no-check", "partition", "keep-partition", "rate"} {
			if given[name] {
				return badInput("--%s is given without input; give a file, or - for standard input", name)
			}
		}
		if _, err := os.Stat(f.directory); err != nil {
			return badInput("--journal: %w; give input for a new journal, or the directory of one", withoutCall(err))
		}
	}
	opts.journal = &eventhubs.JournalOptions{Directory: f.directory, Sync: sync, MaxBytes: f.most}
	return nil
}

// useJournal sets the producer's options for --journal.
func (pub *publication) useJournal(options *eventhubs.Options) {
	opts := pub.options
	if opts.journal == nil {
		return
	}
	options.Journal = opts.journal
	options.EnableIdempotentRetries = !opts.atLeastOnce
	if opts.atLeastOnce {
		fmt.Fprintln(pub.process.stderr, "At least once (--at-least-once): events that were on their way when a run ended may be stored twice.")
	}
}

// journalFault rewrites an error of the constructor that is about the journal.
func (opts *publishOptions) journalFault(err error) error {
	switch {
	case opts.journal == nil:
		return err
	case errors.Is(err, eventhubs.ErrInvalidArgument):
		return badInput("%s", strings.ReplaceAll(err.Error(), "Options.Journal.MaxBytes", "--journal-max"))
	}
	if bad, ok := errors.AsType[*inputError](err); ok {
		err = bad.err
	}
	text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "eventhubs: Options.Journal: "), "journal: ")
	return fmt.Errorf("--journal: %s", strings.Replace(text, `"eventhubs journal repair" with that directory`, `"eventhubs journal repair `+forShell(opts.journal.Directory)+`"`, 1))
}

// goOn makes the input begin where the journal's last line was, or that of --resume. It says what
// is in the journal, and returns a line about the place.
func (pub *publication) goOn(src *source) (line string, err error) {
	if pub.resume != nil {
		from, err := loadPlace(pub.options.resume)
		if err != nil || from == nil {
			return "", err
		}
		pub.resume.parts[0].place = *from // no event is offered yet
		return src.goOn(*from)
	}
	if pub.options.journal == nil {
		return "", nil
	}
	state, directory := pub.producer.Journal(), pub.options.journal.Directory
	if state.Recovered > 0 {
		pub.progress.line(fmt.Sprintf("%s of earlier runs in %s; they are sent first", are(state.Recovered, "event is", "events are"), directory))
	}
	if len(state.Checkpoint) == 0 || len(src.inputs) == 0 {
		return "", nil
	}
	from, ok := parseCheckpoint(state.Checkpoint)
	if !ok {
		return "", badInput("--journal: another program has used %s, and this command cannot read how far that program has come: use another directory; without input, the command sends what is there", directory)
	}
	if src.inputs[0].stream != nil {
		return "", nil // it has no places to go on at
	}
	return src.goOn(from)
}

// offline says that the hub cannot be reached yet. With a journal that ends nothing, unless the
// service has answered and waiting would not help.
func (pub *publication) offline(ctx context.Context, err error) error {
	if pub.options.journal == nil || ctx.Err() != nil {
		return err
	}
	if _, bad := errors.AsType[*inputError](err); bad && notFound(err) == nil {
		return err
	}
	if e, ok := errors.AsType[*eventhubs.Error](err); ok && e.Code == eventhubs.CodeUnauthorized {
		return err
	}
	pub.isOffline = true
	pub.progress.line(fmt.Sprintf("The hub cannot be reached yet; lines are kept in %s, and sent later: %s", pub.options.journal.Directory, pub.process.message(err)))
	return nil
}

// enqueueAll enqueues the events of the input. With a journal one write of the disk serves many of
// them. It returns the producer's error.
func (pub *publication) enqueueAll(ctx context.Context, events iter.Seq2[*eventhubs.Event, error]) error {
	if pub.options.journal != nil {
		_, err := pub.producer.EnqueueAll(ctx, events)
		return err
	}
	for event := range events {
		if err := pub.producer.Enqueue(ctx, event); err != nil {
			return err
		}
	}
	return nil
}

// fullAfter is how long a line waits for room in the journal before the command says so.
const fullAfter = 2 * time.Second

// tellFull says, once, that reading waits for room in the journal.
func (pub *publication) tellFull() {
	s := pub.producer.Journal()
	if s == nil || pub.toldFull.Swap(true) {
		return
	}
	pub.progress.line(fmt.Sprintf("Reading waits: %s is full (%s of --journal-max %s; the disk has %s free). It goes on when events are sent",
		pub.options.journal.Directory, size(s.Bytes), size(s.MaxBytes), size(s.DiskFree)))
}

// kept returns how many events stay in the journal, by the error of closing.
func kept(closed error) int {
	if u, ok := errors.AsType[*eventhubs.UndeliveredError](closed); ok {
		return u.Kept
	}
	return 0
}

// keptText says how many events stay in the journal, and how to send them.
func (pub *publication) keptText(n int) string {
	again := "eventhubs " + pub.options.command + " --journal " + forShell(pub.options.journal.Directory)
	if pub.options.atLeastOnce {
		again += " --at-least-once"
	}
	return fmt.Sprintf("%s in %s; with the same namespace and hub, run %s to send them", are(n, "event stays", "events stay"), pub.options.journal.Directory, again)
}

// are is counted with thousands set off.
func are(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

// thousands formats a number with its thousands set off.
func thousands(n int) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// journalLine returns the text of a record that the journal has logged.
func journalLine(r slog.Record) string {
	text := strings.TrimPrefix(r.Message, "journal: ")
	var fields []string
	r.Attrs(func(a slog.Attr) bool {
		fields = append(fields, a.Key+" "+a.Value.String())
		return true
	})
	return "Journal: " + strings.Join(slices.Insert(fields, 0, text), ", ")
}
