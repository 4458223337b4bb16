package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// A copyPlan is what all runs of a copy have in common. The first run makes it. The file of
// --resume has it with the places; the directory of --journal has it in planFile, and the places
// with the events.
type copyPlan struct {
	Source     string          `json:"source"`
	Target     string          `json:"target"`
	Since      string          `json:"since"` // as it was given
	By         route           `json:"by"`
	Described  bool            `json:"sourceProperties,omitempty"`
	All        bool            `json:"all"`        // also partitions that the source gets later
	Partitions []planPartition `json:"partitions"` // of the source
	Into       []planTarget    `json:"into"`
}

// A planPartition is where the copy is in a partition of the source.
type planPartition struct {
	ID    string `json:"id"`
	Since string `json:"since"`          // as --since takes it, not relative to anything
	Into  string `json:"into,omitempty"` // the target's partition for events without a key
	Last  *int64 `json:"last,omitempty"` // sequence number of the last event that later runs need not copy
}

// A planTarget is where the target ended before the copy.
type planTarget struct {
	ID   string `json:"id"`
	Last int64  `json:"last"` // sequence number; -1 for none
}

// planFile is the name of the plan in the directory of --journal, whose own files have other names.
const planFile = "copy.json"

// makePlan makes the plan of a first run.
func (opts *copyOptions) makePlan(source, target []connection.PartitionProperties) *copyPlan {
	plan := &copyPlan{Source: opts.from.name(), Target: opts.to.name(), Since: opts.since.text, By: opts.by, Described: opts.described, All: len(opts.partitions) == 0}
	for _, p := range source {
		if plan.All || slices.Contains(opts.partitions, p.PartitionID) {
			plan.Partitions = append(plan.Partitions, planPartition{ID: p.PartitionID, Since: opts.since.fixed(p)})
		}
	}
	for _, p := range target {
		plan.Into = append(plan.Into, planTarget{p.PartitionID, p.LastEnqueuedSequenceNumber})
	}
	if plan.By == "" {
		plan.By = routeKey
		if len(source) == len(target) {
			plan.By = routePartition
		}
	}
	plan.spread()
	return plan
}

// spread gives the source's new partitions one of the target's for their events without a key. It
// stays the same when the target gets further partitions, so that these events stay in order.
func (plan *copyPlan) spread() {
	for i := range plan.Partitions {
		if p := &plan.Partitions[i]; plan.By == routeKey && p.Into == "" {
			p.Into = plan.Into[i%len(plan.Into)].ID
		}
	}
}

// grow adds partitions that the hubs have got since the copy began, and reports whether there are
// any.
func (plan *copyPlan) grow(source, target []connection.PartitionProperties) (grown bool) {
	for _, p := range source {
		if plan.All && !slices.ContainsFunc(plan.Partitions, func(known planPartition) bool { return known.ID == p.PartitionID }) {
			plan.Partitions, grown = append(plan.Partitions, planPartition{ID: p.PartitionID, Since: position{earliest: true}.fixed(p)}), true
		}
	}
	for _, p := range target {
		if !slices.ContainsFunc(plan.Into, func(known planTarget) bool { return known.ID == p.PartitionID }) {
			plan.Into, grown = append(plan.Into, planTarget{p.PartitionID, -1}), true
		}
	}
	plan.spread()
	return grown
}

// fixed returns the position in a partition as text that means the same in a later run.
func (from position) fixed(extent connection.PartitionProperties) string {
	last := extent.LastEnqueuedSequenceNumber
	sequence := last + 1
	switch {
	case from.offset != "" && !behind(from.offset, extent.LastEnqueuedOffset):
		return "offset:" + from.offset
	case from.time != nil:
		return "time:" + from.time.UTC().Format(time.RFC3339Nano)
	case last < 0:
		sequence = 0
	case from.earliest && !extent.IsEmpty:
		sequence = extent.BeginningSequenceNumber
	case from.sequence != nil:
		sequence = min(*from.sequence, sequence)
	}
	return fmt.Sprint("sequence:", sequence)
}

// agree returns an error unless the plan of a former run is that of this one. Kept names the file
// or directory.
func (plan *copyPlan) agree(opts *copyOptions, kept string) error {
	var ids []string
	for _, p := range plan.Partitions {
		ids = append(ids, p.ID)
	}
	differs := func(what, before, now string) error {
		return badInput("%s is of a copy with %s %s, not %s: give the same, or another name for another copy", kept, what, before, now)
	}
	switch {
	case !strings.EqualFold(plan.Source, opts.from.name()):
		return differs("the source", plan.Source, opts.from.name())
	case !strings.EqualFold(plan.Target, opts.to.name()):
		return differs("the target", plan.Target, opts.to.name())
	case opts.by != "" && opts.by != plan.By:
		return differs("--by", string(plan.By), string(opts.by))
	case opts.given["since"] && opts.since.text != plan.Since:
		return differs("--since", plan.Since, opts.since.text)
	case len(opts.partitions) > 0 && !slices.Equal(slices.Sorted(slices.Values(opts.partitions)), slices.Sorted(slices.Values(ids))):
		return differs("--partition", strings.Join(ids, ","), strings.Join(opts.partitions, ","))
	case opts.described && !plan.Described:
		return badInput("%s is of a copy without --source-properties: leave it out, or give another name for another copy", kept)
	}
	return nil
}

// readPlan reads the plan of a former run; nil if there was none. Kept names the option.
func readPlan(name, option string) (*copyPlan, error) {
	text, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && len(text) == 0:
		return nil, nil
	case err != nil:
		return nil, badInput("%s: %w", option, withoutCall(err))
	}
	plan := &copyPlan{}
	if err := json.Unmarshal(text, plan); err != nil || plan.Source == "" || plan.Target == "" || plan.By != routePartition && plan.By != routeKey || len(plan.Partitions) == 0 {
		return nil, badInput("%s: %s is no file that this command has written; give the name of a new one", option, name)
	}
	return plan, nil
}

// write replaces the file of the plan.
func (plan *copyPlan) write(name string) error {
	text, err := json.MarshalIndent(plan, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(name, append(text, '\n'))
}

// loadPlan returns the plan of former runs; nil if this is the first one. The places are those up
// to which the file or the journal has everything.
func (c *copying) loadPlan() (*copyPlan, error) {
	switch journal := c.pub.options.journal; {
	case journal != nil:
		return c.loadJournal(journal.Directory)
	case c.options.resume != "":
		return readPlan(c.options.resume, "--resume")
	}
	return nil, nil
}

func (c *copying) loadJournal(directory string) (*copyPlan, error) {
	state := c.pub.producer.Journal()
	plan, err := readPlan(filepath.Join(directory, planFile), "--journal")
	switch {
	case err != nil:
		return nil, err
	case plan == nil && (len(state.Checkpoint) > 0 || state.Events > 0):
		return nil, badInput("--journal: %s is of another program, and this command cannot read how far that program has come: use another directory", directory)
	case plan == nil:
		return nil, nil
	case len(state.Checkpoint) == 0:
		return plan, nil // killed before the first event
	}
	places, ok := parseCopyCheckpoint(state.Checkpoint, len(plan.Partitions))
	if !ok {
		return nil, badInput("--journal: the places in %s are not those of %s: another program has used it; use another directory", directory, planFile)
	}
	for i, last := range places {
		if last >= 0 {
			plan.Partitions[i].Last = new(last)
		}
	}
	if state.Recovered > 0 {
		c.pub.progress.line(fmt.Sprintf("%s of earlier runs in %s; they are sent first", are(state.Recovered, "event is", "events are"), directory))
	}
	return plan, nil
}

// savePlan writes a plan that has changed, and finds out if the file of --resume can be written.
func (c *copying) savePlan(changed bool) error {
	switch journal := c.pub.options.journal; {
	case journal != nil && changed:
		if err := c.plan.write(filepath.Join(journal.Directory, planFile)); err != nil {
			return fmt.Errorf("--journal: %w", withoutCall(err))
		}
	case c.options.resume != "":
		if err := c.plan.write(c.options.resume); err != nil {
			return badInput("--resume: %w", withoutCall(err))
		}
	}
	return nil
}

// copyMark begins a checkpoint of the command copy, in its first version.
const copyMark = "ehc\x01"

// appendCopyCheckpoint appends the places in all partitions of the source: the sequence number of
// the last event of each, or -1.
func appendCopyCheckpoint(dst []byte, parts []*copiedPartition) []byte {
	dst = append(dst, copyMark...)
	for _, p := range parts {
		dst = binary.AppendUvarint(dst, uint64(p.last+1))
	}
	return dst
}

// parseCopyCheckpoint decodes a checkpoint. There are at most that many partitions, and fewer if
// the source has grown since.
func parseCopyCheckpoint(text []byte, partitions int) (places []int64, ok bool) {
	rest, ok := bytes.CutPrefix(text, []byte(copyMark))
	if !ok {
		return nil, false
	}
	for len(rest) > 0 {
		n, size := binary.Uvarint(rest)
		if size <= 0 || int64(n) < 0 {
			return nil, false
		}
		places, rest = append(places, int64(n)-1), rest[size:]
	}
	return places, len(places) <= partitions
}

// lastCopied describes a checkpoint of the command copy for people; "" if it is another.
func lastCopied(directory string, checkpoint []byte) string {
	plan, err := readPlan(filepath.Join(directory, planFile), "")
	if err != nil || plan == nil {
		return ""
	}
	places, ok := parseCopyCheckpoint(checkpoint, len(plan.Partitions))
	if !ok {
		return ""
	}
	var list []string
	for i, last := range places {
		list = append(list, fmt.Sprintf("%s: %d", plan.Partitions[i].ID, last))
	}
	return "partition " + printable(strings.Join(list, ", "))
}

// newCopyPlaces keeps the places of a copy in the file with its plan, as the plan's partitions. It
// returns nil without --resume.
func newCopyPlaces(name string, plan *copyPlan) *placeKeeper[int64] {
	if name == "" {
		return nil
	}
	parts := make([]places[int64], len(plan.Partitions))
	for i, p := range plan.Partitions {
		parts[i].most, parts[i].place = 1, -1 // a partition is stored in its order, so a run that ends repeats nothing
		if p.Last != nil {
			parts[i].place = *p.Last
		}
	}
	return &placeKeeper[int64]{parts: parts, write: func(parts []places[int64]) error {
		for i := range parts {
			if last := parts[i].place; last >= 0 {
				plan.Partitions[i].Last = new(last)
			}
		}
		return plan.write(name)
	}}
}
