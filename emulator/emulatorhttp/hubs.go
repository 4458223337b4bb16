package emulatorhttp

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// hubSummaryJSON is a hub in the answers of /api/hubs.
type hubSummaryJSON struct {
	Name           string    `json:"name"`
	Created        time.Time `json:"created"`
	Disabled       bool      `json:"disabled"`
	Partitions     int       `json:"partitions"`
	ConsumerGroups []string  `json:"consumerGroups"`
	Events         int       `json:"events"` // ever stored
}

// hubSummaries are the hubs that are shown.
func (h *handler) hubSummaries() []hubSummaryJSON {
	out := []hubSummaryJSON{}
	for _, hub := range h.server.Snapshot().Hubs {
		if h.hidden(hub.Name) {
			continue
		}
		summary := hubSummaryJSON{
			Name: hub.Name, Created: hub.Created, Disabled: hub.Disabled, Partitions: len(hub.Partitions), ConsumerGroups: hub.ConsumerGroups,
		}
		for _, p := range hub.Partitions {
			summary.Events += p.Total.Events
		}
		out = append(out, summary)
	}
	return out
}

// findHub finds a hub, ignoring case.
func (h *handler) findHub(name string) (hubSummaryJSON, error) {
	for _, hub := range h.hubSummaries() {
		if strings.EqualFold(hub.Name, name) {
			return hub, nil
		}
	}
	return hubSummaryJSON{}, refuse(http.StatusNotFound, "name", "there is no hub %q", cut(name, maxName))
}

// listHubs answers with all hubs.
func (h *handler) listHubs(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, struct {
		Hubs []hubSummaryJSON `json:"hubs"`
	}{h.hubSummaries()})
}

// hub answers with one hub.
func (h *handler) hub(w http.ResponseWriter, r *http.Request) {
	hub, err := h.findHub(r.PathValue("name"))
	if err != nil {
		answerError(w, err)
		return
	}
	answer(w, http.StatusOK, hub)
}

// addHub creates the hub in the body.
func (h *handler) addHub(r *http.Request) (int, any, error) {
	var hub emulator.Hub
	err := readBody(r, map[string]any{
		"name": &hub.Name, "partitions": &hub.Partitions, "consumerGroups": &hub.ConsumerGroups, "disabled": &hub.Disabled,
	})
	if err != nil {
		return 0, nil, err
	}
	h.changing.Lock()
	defer h.changing.Unlock()
	if h.server.PartitionIDs(hub.Name) != nil {
		return 0, nil, refuse(http.StatusConflict, "name", "there is a hub %q already (case does not matter)", hub.Name)
	}
	if err := h.server.AddHub(hub); err != nil {
		return 0, nil, ofHub(err)
	}
	added, err := h.findHub(hub.Name)
	return http.StatusCreated, added, err
}

// ofHub is an error about a hub's fields as an answer.
func ofHub(err error) error {
	wrong, ok := errors.AsType[*emulator.HubError](err)
	if !ok {
		return err
	}
	return refuse(http.StatusBadRequest, hubFields[wrong.Field], "%s", plain(err))
}

// hubFields are the names of a hub's fields in JSON.
var hubFields = map[string]string{"Name": "name", "Partitions": "partitions", "ConsumerGroups": "consumerGroups"}

// changeHub adds partitions, and disables or enables a hub.
func (h *handler) changeHub(r *http.Request) (int, any, error) {
	var partitions *int
	var disabled *bool
	if err := readBody(r, map[string]any{"partitions": &partitions, "disabled": &disabled}); err != nil {
		return 0, nil, err
	}
	h.changing.Lock()
	defer h.changing.Unlock()
	hub, err := h.findHub(r.PathValue("name"))
	if err != nil {
		return 0, nil, err
	}
	if partitions != nil {
		if *partitions < hub.Partitions {
			return 0, nil, refuse(http.StatusBadRequest, "partitions", "partitions is %d: hub %s has %d, and their number can only grow", *partitions, hub.Name, hub.Partitions)
		}
		if more := *partitions - hub.Partitions; more > 0 {
			if err := h.server.AddPartitions(hub.Name, more); err != nil {
				return 0, nil, ofHub(err)
			}
		}
	}
	if disabled != nil {
		if err := h.server.SetDisabled(hub.Name, *disabled); err != nil {
			return 0, nil, err
		}
	}
	changed, err := h.findHub(hub.Name)
	return http.StatusOK, changed, err
}

// deleteHub deletes a hub with its events.
func (h *handler) deleteHub(r *http.Request) (int, any, error) {
	h.changing.Lock()
	defer h.changing.Unlock()
	hub, err := h.findHub(r.PathValue("name"))
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, hub, h.server.DeleteHub(hub.Name)
}
