package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/setup"
)

// dotnetPacked is the packed program beside the repository, if any. dotnetSum has its checksum.
var (
	dotnetPacked = filepath.Join("..", "..", "shared", "tools", "dotnet", "client.xz")
	dotnetSum    = filepath.Join("..", "interop", "clients", "dotnet", "client.sha256")
)

// dotnetLeast is .NET's minimum time. Its program does not warm up, so its compiler's time must
// weigh little.
const dotnetLeast = 5 * time.Second

// prepareDotnet finds the program, or unpacks it.
func prepareDotnet(ctx context.Context) (*program, error) {
	path, err := setup.NamedDotNet()
	if err == nil && path == "" {
		path, err = unpackDotnet(ctx)
	}
	if err != nil {
		return nil, err
	}
	return &program{command: []string{path}, publish: publishDotnet}, nil
}

func unpackDotnet(ctx context.Context) (path string, err error) {
	if _, err := os.Stat(dotnetPacked); err != nil {
		return "", fmt.Errorf("the .NET client is missing: set %s to its program, as interop/clients/dotnet/README.md says", setup.DotNetVariable)
	}
	if err := setup.Need("xz-utils", "xz"); err != nil {
		return "", err
	}
	sum, err := os.ReadFile(dotnetSum)
	if err != nil {
		return "", err
	}
	wanted, _, _ := strings.Cut(string(sum), " ")
	dir, err := setup.CacheDirectory("dotnet-" + wanted[:min(len(wanted), 12)])
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "client")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	text, err := exec.CommandContext(ctx, "xz", "--decompress", "--stdout", dotnetPacked).Output()
	if err != nil {
		return "", fmt.Errorf("unpacking %s: %w", dotnetPacked, err)
	}
	if got := sha256.Sum256(text); hex.EncodeToString(got[:]) != wanted {
		return "", fmt.Errorf("%s has the checksum %x, and not that of %s", dotnetPacked, got, dotnetSum)
	}
	if err := os.WriteFile(path+".new", text, 0o755); err != nil {
		return "", err
	}
	return path, os.Rename(path+".new", path)
}

// A dotnetAnswer has the used part of the program's output.
type dotnetAnswer struct {
	What string `json:"what"` // "error", or empty
	More struct {
		Message string `json:"message"`
	} `json:"more"`
	Events  int64   `json:"events"`
	Warm    int64   `json:"warmup_events"`
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"client_cpu_s"`
	RSS     float64 `json:"max_rss_mb"` // of 1,048,576 bytes
	Bytes   float64 `json:"alloc_bytes_per_event"`
}

// publishDotnet lets the program do a job, which it passes as arguments.
func publishDotnet(ctx context.Context, p *program, j *job, m *measurement) error {
	s := &j.Scenario
	kind := "buffered"
	if s.Peer == dotnetByHand {
		kind = "batch"
	}
	run := &program{environment: p.environment, command: append(p.command[:1:1], "bench", kind, "-addr", j.Server.Addr, "-hub", hubName,
		"-partitions", strconv.Itoa(s.Partitions), "-size", strconv.Itoa(s.Size), "-seconds", strconv.FormatFloat(max(j.Measure, dotnetLeast).Seconds(), 'f', -1, 64))}
	process, err := startProcess(ctx, run)
	if err != nil {
		return err
	}
	var a dotnetAnswer
	err = errors.Join(process.hear(&a), process.end(nil))
	p.used = process.used()
	if a.What == "error" {
		return fmt.Errorf(".NET reports: %s", a.More.Message)
	}
	if err != nil {
		return err
	}
	*m = measurement{
		Sent: a.Events + a.Warm, Events: a.Events, Bytes: a.Events * int64(s.Size), Seconds: a.Seconds, CPU: time.Duration(a.CPU * float64(time.Second)),
		Mallocs: -1, Allocated: int64(a.Bytes * float64(a.Events)), PeakRSS: int64(a.RSS * (1 << 20)),
	}
	return nil
}
