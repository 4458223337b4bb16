package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// The marks around the tables in the document.
const (
	tablesBegin = "<!-- Made by go -C interop run . faults -update. -->"
	tablesEnd   = "<!-- The end of the tables. -->"
)

// A column is what one client did under all faults.
type column struct {
	head  string   // title and version
	cells []string // of all rows of all tables; empty for a table that the client does not do
}

// column makes the column of a run.
func (r *faultRun) column() column {
	c := column{head: strings.TrimSpace(r.sufferer.title + " " + r.version)}
	for i, table := range faultTables {
		for j := range table.trials {
			if r.sufferer.does(i) {
				c.cells = append(c.cells, r.cell(fmt.Sprintf("trial-%d-%d", i, j)))
			} else {
				c.cells = append(c.cells, "")
			}
		}
	}
	return c
}

// writeFaultTables writes the tables in Markdown, with a column for each client that has been run.
func writeFaultTables(w io.Writer, columns map[string]column) {
	row := 0
	for i, table := range faultTables {
		var shown []column
		for _, s := range sufferers {
			if c, run := columns[s.name]; run && s.does(i) {
				shown = append(shown, c)
			}
		}
		fmt.Fprintf(w, "\n### %s\n\n| |", table.title)
		for _, c := range shown {
			fmt.Fprintf(w, " %s |", c.head)
		}
		fmt.Fprint(w, "\n|---|", strings.Repeat("---|", len(shown)), "\n")
		for j := range table.trials {
			fmt.Fprintf(w, "| %s |", table.trials[j].title())
			for _, c := range shown {
				fmt.Fprintf(w, " %s |", c.cells[row])
			}
			fmt.Fprintln(w)
			row++
		}
	}
	fmt.Fprintln(w)
}

// readFaultTables reads the columns that writeFaultTables has written. A row that the tables lack
// is a cell "not run".
func readFaultTables(text string) map[string]column {
	columns := make(map[string]column)
	sections := make(map[string]string) // by title
	for section := range strings.SplitSeq(text, "\n### ") {
		title, rest, _ := strings.Cut(section, "\n")
		sections[title] = rest
	}
	for i, table := range faultTables {
		rows := make(map[string][]string) // by the first cell
		for line := range strings.Lines(sections[table.title]) {
			if cells := cellsOf(line); len(cells) > 1 {
				rows[cells[0]] = cells[1:]
			}
		}
		for _, s := range sufferers {
			at := slices.IndexFunc(rows[""], func(head string) bool { return strings.HasPrefix(head, s.title) })
			c, run := columns[s.name]
			if at < 0 && !run {
				continue
			}
			if at >= 0 {
				c.head = rows[""][at]
			}
			for j := range table.trials {
				cell := "**not run**"
				if !s.does(i) {
					cell = ""
				} else if cells := rows[table.trials[j].title()]; at >= 0 && at < len(cells) {
					cell = cells[at]
				}
				c.cells = append(c.cells, cell)
			}
			columns[s.name] = c
		}
	}
	return columns
}

// cellsOf are the cells of a table's line.
func cellsOf(line string) []string {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "|") {
		return nil
	}
	cells := strings.Split(strings.Trim(line, "|"), "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}

// title is the name of a trial's row.
func (t *trial) title() string {
	if t.rule == "" {
		return t.name
	}
	rule, more, _ := strings.Cut(t.name, ": ")
	if more != "" {
		more = ": " + more
	}
	return "`" + rule + "`" + more
}

// does reports whether the client does the trials of a table.
func (s *sufferer) does(table int) bool {
	return !s.sends || faultTables[table].trials[0].role != "receive"
}

// cell describes a meeting.
func (r *faultRun) cell(hub string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, t := r.meetings[hub], r.trials[hub]
	tries := r.tries[hub][t.tries]
	if t.closing {
		switch {
		case m.closed != nil:
			return after(*m.closed)
		case m.over && m.class == "":
			return fmt.Sprintf("still closing after %.0f s", faultLimit.Seconds())
		}
	}
	var parts []string
	switch {
	case !m.over:
		parts = append(parts, fmt.Sprintf("still trying after %.0f s", faultLimit.Seconds()))
	case m.class != "":
		parts = append(parts, "`"+short(m.class, m.message)+"` "+after(m.seconds))
	case t.role == "receive" && m.events < 5:
		parts = append(parts, "ended without an error "+after(m.seconds))
	case t.role == "receive":
		parts = append(parts, "all five "+after(m.seconds))
	default:
		parts = append(parts, "sent "+after(m.seconds))
	}
	if t.role == "receive" {
		if m.over && m.events < 5 {
			parts = append(parts, plural(m.events, "event", "events"))
		}
		return strings.Join(append(parts, plural(tries, "link", "links")), ", ")
	}
	if t.tries != 0 {
		parts = append(parts, plural(tries, "try", "tries"))
	}
	stored, sent := r.server.Counts(hub, "").Events, m.over && m.class == ""
	switch {
	case stored == 0 && sent:
		parts = append(parts, "**not stored**")
	case stored > 1 || stored == 1 && !sent:
		parts = append(parts, fmt.Sprintf("stored %d×", stored))
	}
	return strings.Join(parts, ", ")
}

// after is a time after which something happened.
func after(s float64) string {
	if s < atOnce {
		return "at once"
	}
	return "after " + seconds(s)
}

// atOnce is a time in seconds that says more about the machine than about the client.
const atOnce = 0.45

func seconds(s float64) string {
	if s < 9.95 {
		return fmt.Sprintf("%.1f s", s)
	}
	return fmt.Sprintf("%.0f s", s)
}

func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// conditionText matches an error condition in a text.
var conditionText = regexp.MustCompile(`\b(?:(?:amqp:(?:link:|connection:|session:)?|com\.microsoft:)[a-z-]+|ErrorCondition\.\w+)`)

// statusText matches the status of an answer to a token or a question.
var statusText = regexp.MustCompile(`status code:? \d{3}`)

// short is an error's class, with the condition if the class does not name it.
func short(class, message string) string {
	if condition := conditionText.FindString(message); condition != "" && !strings.Contains(class, condition) {
		return class + ": " + condition
	}
	if class == "Error" {
		return class + ": " + message
	}
	if status := statusText.FindString(message); status != "" {
		return class + ": " + status
	}
	return class
}

// putTables writes columns into the tables of a document. The other columns stay.
func putTables(path string, fresh map[string]column) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(text), tablesBegin+"\n")
	old, after, ended := strings.Cut(rest, tablesEnd)
	if !found || !ended {
		return fmt.Errorf("%s lacks the lines %s and %s", path, tablesBegin, tablesEnd)
	}
	columns := readFaultTables(old)
	maps.Copy(columns, fresh)
	var tables strings.Builder
	writeFaultTables(&tables, columns)
	return os.WriteFile(path, []byte(before+tablesBegin+"\n"+tables.String()+tablesEnd+after), 0o644)
}
