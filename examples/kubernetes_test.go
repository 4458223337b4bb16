//go:build unix

package examples_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// The service gets SIGTERM under load, while one partition does not answer. It ends within the
// pod's grace and reports an outcome for every accepted event. The hub must agree.
func TestTheServiceInKubernetesEndsWithinItsGrace(t *testing.T) {
	t.Parallel() // it waits for most of its time
	const grace = 30 * time.Second
	program := filepath.Join(t.TempDir(), "service")
	if text, err := exec.Command("go", "build", "-o", program, "./kubernetes/service").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: "orders", Partitions: 4}}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	var silent atomic.Bool
	server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer && op.PartitionID == "1" && silent.Load() {
			return emulator.Silence()
		}
		return emulator.Pass()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	service := exec.CommandContext(ctx, program)
	service.Env = append(os.Environ(), "EVENTHUBS_CONNECTION_STRING="+server.ConnectionString("orders"))
	var log bytes.Buffer
	service.Stderr = &log
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	for _, events := range []int{10_000, 20_000} { // the second half without partition 1
		if err := server.WaitForEvents(ctx, "orders", events); err != nil {
			t.Fatalf("the service has not published %d events: %v", events, err)
		}
		silent.Store(true)
	}
	told := time.Now()
	if err := service.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err = service.Wait()
	t.Logf("the log, after %v:\n%s", time.Since(told), log.Bytes())
	if took := time.Since(told); took > grace-4*time.Second {
		t.Errorf("the service took %v to end: the pod's grace less what preStop takes is %v", took, grace-4*time.Second)
	}
	if service.ProcessState.ExitCode() != 1 {
		t.Errorf("the service ended with %v, want status 1: not all is stored", err)
	}
	counts := regexp.MustCompile(`msg=closed accepted=(\d+) stored=(\d+) notStored=(\d+) possiblyStored=(\d+)`).FindStringSubmatch(log.String())
	if counts == nil {
		t.Fatal("the log has no line that counts the events")
	}
	var n [4]int
	for i, text := range counts[1:] {
		if n[i], err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	stored := 0
	for _, id := range server.PartitionIDs("orders") {
		stored += server.Counts("orders", id).Events
	}
	if accepted := n[0]; n[1]+n[2]+n[3] != accepted || n[1] != stored || n[3] == 0 {
		t.Errorf("accepted %d, stored %d, not stored %d, possibly stored %d; the hub has %d events. Want the sum, the hub's count, and some possibly stored", accepted, n[1], n[2], n[3], stored)
	}
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, `msg="events failed"`) && !strings.Contains(line, "partition=1 ") {
			t.Errorf("an event of another partition failed: %s", line)
		}
	}
}
