package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/go-eventhubs/eventhubs/internal/setup"
)

// prepareBefore builds the bench of the commit in -before, for its client. That is this project's
// producer at that commit, used as it was used then. So both can be measured in one run, whatever
// names have changed since. Each commit is built once.
func (r *runner) prepareBefore(ctx context.Context) (*program, error) {
	if r.before == "" {
		return nil, errors.New("no commit is named: give -before COMMIT")
	}
	ctx, cancel := context.WithTimeout(ctx, preparationLimit)
	defer cancel()
	commit, err := exec.CommandContext(ctx, "git", "rev-parse", "--verify", "--end-of-options", r.before+"^{commit}").Output()
	if err != nil {
		return nil, fmt.Errorf("-before %q names no commit of this repository: %w", r.before, err)
	}
	dir, err := setup.CacheDirectory("before-" + strings.TrimSpace(string(commit)))
	if err != nil {
		return nil, err
	}
	built := filepath.Join(dir, "bench-of-then")
	ready := &program{command: []string{built}, environment: map[string]string{roleVariable: roleClient}}
	if _, err := os.Stat(built); err == nil {
		return ready, nil
	}
	// git archive runs in the repository's root, from any folder.
	root, err := exec.CommandContext(ctx, "git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		return nil, fmt.Errorf("finding the repository: %w", err)
	}
	archive := filepath.Join(dir, "source.tar")
	if err := setup.Command(ctx, strings.TrimSpace(string(root)), "git", "archive", "--output", archive, strings.TrimSpace(string(commit))); err != nil {
		return nil, err
	}
	if err := setup.Command(ctx, dir, "tar", "-xf", archive); err != nil {
		return nil, err
	}
	if err := setup.Command(ctx, filepath.Join(dir, "bench"), "go", "build", "-o", built+".new", "."); err != nil {
		return nil, err
	}
	return ready, os.Rename(built+".new", built)
}
