package emulatorhttp

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// ruleJSON is a fault that a rule has set.
type ruleJSON struct {
	ID        int        `json:"id"`
	Rule      string     `json:"rule"`
	Matched   int        `json:"matched"`
	Hits      int        `json:"hits"`
	Remaining *int       `json:"remaining"` // null without a count
	Begins    time.Time  `json:"begins"`
	Ends      *time.Time `json:"ends"` // null for never
	Over      bool       `json:"over"`
}

func newRule(f emulator.Fault) ruleJSON {
	out := ruleJSON{ID: f.ID, Rule: f.Rule.String(), Matched: f.Matched, Hits: f.Hits, Begins: f.Begins, Over: f.Over}
	if f.Remaining >= 0 {
		out.Remaining = &f.Remaining
	}
	if !f.Ends.IsZero() {
		out.Ends = &f.Ends
	}
	return out
}

// rules are all faults that rules have set.
func (h *handler) rules() []ruleJSON {
	out := []ruleJSON{}
	for _, f := range h.server.Faults() {
		out = append(out, newRule(f))
	}
	return out
}

// listFaults answers with all faults that rules have set.
func (h *handler) listFaults(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, struct {
		Faults []ruleJSON `json:"faults"`
	}{h.rules()})
}

// addFault sets the fault of the rule in the body.
func (h *handler) addFault(r *http.Request) (int, any, error) {
	var text string
	if err := readBody(r, map[string]any{"rule": &text}); err != nil {
		return 0, nil, err
	}
	rule, err := emulator.ParseFaultRule(text)
	var id int
	if err == nil {
		id, err = h.server.AddFault(rule)
	}
	if wrong, ok := errors.AsType[*emulator.FaultRuleError](err); ok {
		bad := refuse(http.StatusBadRequest, wrong.Field, "%v", wrong)
		bad.Value = wrong.Value
		return 0, nil, bad
	}
	if err != nil {
		return 0, nil, err
	}
	for _, f := range h.server.Faults() {
		if f.ID == id {
			return http.StatusCreated, newRule(f), nil
		}
	}
	return 0, nil, refuse(http.StatusConflict, "", "fault %d was set, and another request has removed it", id)
}

// removedJSON is the answer to a request that removes faults.
type removedJSON struct {
	Removed int `json:"removed"`
}

// removeFaults removes all faults that rules have set.
func (h *handler) removeFaults(*http.Request) (int, any, error) {
	return http.StatusOK, removedJSON{h.server.RemoveFaults()}, nil
}

// removeFault removes one fault.
func (h *handler) removeFault(r *http.Request) (int, any, error) {
	text := r.PathValue("id")
	id, err := strconv.Atoi(text)
	if err != nil {
		return 0, nil, refuse(http.StatusBadRequest, "id", "id is %q: want the number of a fault", text)
	}
	if !h.server.RemoveFault(id) {
		return 0, nil, refuse(http.StatusNotFound, "id", "there is no fault %d", id)
	}
	return http.StatusOK, removedJSON{1}, nil
}
