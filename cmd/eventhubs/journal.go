package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/eventjson"
	"github.com/go-eventhubs/eventhubs/internal/journalview"
)

const journalHelp = `Shows what is in the journal of a producer: events that are accepted and have no outcome yet.

Usage:
  eventhubs journal [options] DIR
  eventhubs journal export DIR
  eventhubs journal repair DIR

Options:
  --output text|json        text (default), or json: one object with namespace, hub, events, unclear,
                            oldest (RFC 3339), bytes, segments, first and end (positions), lanes,
                            checkpoint (base64) and damage. Only without export and repair

Without export and repair the command shows the hub, the events and the age of the oldest, the bytes
of the files, and damage. "last line" is where "eventhubs publish --journal DIR" goes on in its input.
"last copied" has the sequence numbers after which "eventhubs copy --journal DIR" goes on. It then shows
each lane. A lane is the events of one partition. Every event of the lane up to the
position "settled" has its outcome. With idempotent retries, "producer" and "epoch" are the identity
on that partition, and "number" is that of the last stored event.

The command reads without the lock, and changes nothing. A producer may use the journal meanwhile.
"unclear" counts events of a program with a KeyPartitioner. Only that program knows if they have their
outcome. A lane "any" has events of ServiceAssigned, and "none" those that no partition takes.

export   writes the events without an outcome to standard output, a record a line, as
         "eventhubs publish --format events" reads them. The events stay in the journal. Events that
         were on their way may be stored already. An event that is exported and published is stored
         twice if the journal is sent too.
repair   for a journal that its producer refuses as damaged. It moves damaged files into DIR/damaged,
         and says which records are missing. The producer then opens the journal, and sends the rest.
         End the producer first.

DIR is a directory of --journal, or of Options.Journal in a program. For a directory that is named
export or repair, write ./export.

Exit status: 0 done; 1 the journal is damaged, or cannot be read or repaired; 2 wrong command line, or
no journal in DIR.

Examples:
  eventhubs journal /var/lib/sensors/journal
  eventhubs journal --output json kept | jq .events
  eventhubs journal export kept > events.ndjson
  eventhubs journal repair kept
`

func runJournal(_ context.Context, p *process, args []string) error {
	var output string
	flags := newFlagSet("journal")
	flags.StringVar(&output, "output", "text", "")
	others, err := parseFlags(flags, args)
	if err != nil {
		return err
	}
	action := ""
	if len(others) > 0 && (others[0] == "export" || others[0] == "repair") {
		action, others = others[0], others[1:]
	}
	switch {
	case output != "text" && output != "json":
		return badInput("--output is %q; it must be text or json", output)
	case action != "" && givenFlags(flags)["output"]:
		return badInput("--output is not for journal %s", action)
	case len(others) == 0:
		return badInput("no directory given; see \"eventhubs journal --help\"")
	case len(others) > 1:
		return badInput("unexpected argument %q; see \"eventhubs journal --help\"", others[1])
	}
	switch directory := others[0]; action {
	case "export":
		err = exportJournal(p, directory)
	case "repair":
		err = repairJournal(p, directory)
	default:
		err = showJournal(p, directory, output == "json")
	}
	return explainJournal(others[0], err)
}

// explainJournal rewrites an error of package journal for a user of that directory.
func explainJournal(directory string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return badInput("there is no journal in %s: %w", directory, withoutCall(err))
	case errors.Is(err, syscall.ENOTDIR):
		return badInput("%s is no directory; give that of a journal", directory)
	}
	if bad, ok := errors.AsType[*inputError](err); ok {
		return bad
	}
	return errors.New(journalText(err))
}

// journalText returns the text of an error of package journal without the package's name.
func journalText(err error) string { return strings.TrimPrefix(err.Error(), "journal: ") }

// A journalReport is the result of journal. Its fields are the JSON output, in this order.
type journalReport struct {
	Namespace  string     `json:"namespace"`
	Hub        string     `json:"hub"`
	Events     int        `json:"events"`
	Unclear    int        `json:"unclear,omitempty"`
	Oldest     *time.Time `json:"oldest,omitempty"`
	Bytes      int64      `json:"bytes"`
	Segments   int        `json:"segments"`
	First      uint64     `json:"first"`
	End        uint64     `json:"end"`
	Lanes      []laneRow  `json:"lanes"`
	Checkpoint []byte     `json:"checkpoint,omitempty"`
	Damage     []string   `json:"damage,omitempty"`

	torn      int64
	directory string
}

// A laneRow is one row of the report.
type laneRow struct {
	Partition string `json:"partition"` // or one of the names below
	Events    int    `json:"events"`
	Outcomes  uint64 `json:"outcomes"`
	Settled   uint64 `json:"settled"`
	Producer  int64  `json:"producer,omitempty"`
	Epoch     int16  `json:"epoch,omitempty"`
	Number    int32  `json:"number,omitempty"`
}

// Names of lanes that are of no partition.
var laneNames = map[journalview.Kind]string{journalview.ServiceAssigned: "any", journalview.Refused: "none"}

func showJournal(p *process, directory string, asJSON bool) error {
	state, err := journalview.Read(directory, nil)
	if err != nil {
		return err
	}
	r := newJournalReport(&state)
	r.directory = directory
	if asJSON {
		err = json.NewEncoder(p.stdout).Encode(r)
	} else {
		err = r.writeText(p.stdout, p.now())
	}
	if err == nil && len(r.Damage) > 0 {
		err = fmt.Errorf("%s is damaged; \"eventhubs journal repair %s\" sets the damage aside, and says what is missing", directory, forShell(directory))
	}
	return err
}

func newJournalReport(s *journalview.State) *journalReport {
	r := &journalReport{
		Namespace: s.Namespace, Hub: s.Hub, Events: s.Events, Unclear: s.Unclear, Bytes: s.Files.Bytes, Segments: s.Files.Segments, First: uint64(s.Files.First), End: uint64(s.Files.End),
		Lanes: []laneRow{}, Checkpoint: s.Checkpoint, torn: s.Files.Torn,
	}
	if !s.Oldest.IsZero() {
		r.Oldest = new(s.Oldest.UTC())
	}
	for _, l := range s.Lanes {
		name := l.Partition
		if l.Kind != journalview.OfPartition {
			name = laneNames[l.Kind]
		}
		r.Lanes = append(r.Lanes, laneRow{Partition: name, Events: l.Events, Outcomes: l.Outcomes, Settled: uint64(l.Settled), Producer: l.Producer, Epoch: l.Epoch, Number: l.Number})
	}
	for _, d := range s.Files.Damage {
		r.Damage = append(r.Damage, journalText(d))
	}
	return r
}

func (r *journalReport) writeText(w io.Writer, now time.Time) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(table, name+"\t"+format+"\n", args...) }
	row("hub", "%s in %s", r.Hub, r.Namespace)
	row("events", "%s without an outcome", thousands(r.Events))
	if r.Oldest != nil {
		row("oldest", "accepted %v ago, at %s", now.Sub(*r.Oldest).Round(time.Second), r.Oldest.Format(time.RFC3339))
	}
	if r.Unclear > 0 {
		row("unclear", "%s of these: only the program's KeyPartitioner knows if they have one", thousands(r.Unclear))
	}
	row("disk", "%s in %s", size(r.Bytes), counted(r.Segments, "segment", "segments"))
	if len(r.Checkpoint) > 0 {
		name, place := "last line", lastLine(r.Checkpoint)
		if last := lastCopied(r.directory, r.Checkpoint); last != "" {
			name, place = "last copied", last
		}
		row(name, "%s", place)
	}
	if r.torn > 0 {
		row("end", "%d bytes are being written, or were when the producer died; the next one cuts them", r.torn)
	}
	damage := "none"
	if len(r.Damage) > 0 {
		damage = strings.Join(r.Damage, "\n\t")
	}
	row("damage", "%s", damage)
	if err := table.Flush(); err != nil || len(r.Lanes) == 0 {
		return err
	}
	fmt.Fprintln(w)
	table = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "partition\tevents\toutcomes\tsettled\tproducer\tepoch\tnumber\t")
	for _, l := range r.Lanes {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t\n", printable(l.Partition), l.Events, l.Outcomes, l.Settled, l.Producer, l.Epoch, l.Number)
	}
	return table.Flush()
}

// lastLine describes a checkpoint for people.
func lastLine(text []byte) string {
	if c, ok := parseCheckpoint(text); ok {
		return fmt.Sprintf("%s, up to byte %d", printable(c.place()), c.offset)
	}
	return fmt.Sprintf("of another program: %q", text)
}

// size formats a number of bytes for people.
func size(bytes int64) string {
	units, n := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}, float64(bytes)
	i := 0
	for n >= 1<<10 && i < len(units)-1 {
		n /= 1 << 10
		i++
	}
	return amount(n) + " " + units[i]
}

// A keptRecord is one line of export. publish ignores the fields after the message.
type keptRecord struct {
	eventjson.Message
	Partition string     `json:"partition,omitempty"` // that the event names
	Outcome   string     `json:"outcome"`
	Unclear   bool       `json:"unclear,omitempty"`
	Position  uint64     `json:"position"`
	Accepted  time.Time  `json:"accepted"`
	Expires   *time.Time `json:"expires,omitempty"`
}

func exportJournal(p *process, directory string) error {
	out := bufio.NewWriter(p.stdout)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	state, err := journalview.Read(directory, func(e *journalview.Event) error {
		r := keptRecord{
			Message: eventjson.New(e.Message), Partition: e.PartitionID, Outcome: eventhubs.Pending.String(),
			Unclear: e.Unclear, Position: uint64(e.Position), Accepted: e.Accepted.UTC(),
		}
		if e.Key != "" {
			r.Key = &e.Key
		}
		if !e.Expires.IsZero() {
			r.Expires = new(e.Expires.UTC())
		}
		return encoder.Encode(r)
	})
	if err != nil {
		_ = out.Flush() // of the events before; its error is err, or less important
		return err
	}
	if err = out.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(p.stderr, "%s exported, and in the journal as before\n", are(state.Events, "event is", "events are"))
	if n := len(state.Files.Damage); n > 0 {
		return fmt.Errorf("%s is damaged: %s; what can be read is exported", directory, journalText(state.Files.Damage[0]))
	}
	return nil
}

func repairJournal(p *process, directory string) error {
	r, err := journalview.Repair(directory)
	for _, name := range r.SetAside {
		fmt.Fprintf(p.stdout, "set aside: %s\n", name)
	}
	if err != nil {
		return err
	}
	var missing uint64
	for _, m := range r.Missing {
		missing += m.Records
		fmt.Fprintf(p.stdout, "missing: %s from position %d on\n", are(int(m.Records), "record", "records"), m.First)
	}
	if r.EndUnknown {
		fmt.Fprintln(p.stdout, "missing: perhaps the newest records; their number is not known")
	}
	if r.SnapshotLost {
		fmt.Fprintln(p.stdout, "missing: a summary of what is stored; events may be stored twice")
	}
	verdict := "Nothing is damaged."
	if len(r.SetAside) > 0 || missing > 0 || r.EndUnknown || r.SnapshotLost {
		verdict = "Repaired. A record is an event, or a note about events that have their outcome."
	}
	_, err = fmt.Fprintln(p.stdout, verdict)
	return err
}
