package journal_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/internal/journal"
)

const (
	childDirectory = "JOURNAL_TEST_CHILD"
	childPolicy    = "JOURNAL_TEST_POLICY"
)

// content returns the record that belongs at a position: 8 bytes to 20 KB.
func content(p journal.Position) []byte {
	random := rand.New(rand.NewPCG(uint64(p), 3))
	record := make([]byte, 8+random.IntN(400))
	if random.IntN(50) == 0 {
		record = make([]byte, 20<<10)
	}
	for i := range record {
		record[i] = byte(random.Uint32())
	}
	binary.LittleEndian.PutUint64(record, uint64(p))
	return record
}

// TestMain runs a writer until it is killed, if the environment names a directory.
func TestMain(m *testing.M) {
	if directory := os.Getenv(childDirectory); directory != "" {
		fmt.Fprintln(os.Stderr, write(directory))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// write adds records by several callers and prints the positions that were kept.
func write(directory string) error {
	policy, err := strconv.Atoi(os.Getenv(childPolicy))
	if err != nil {
		return err
	}
	j, err := journal.Open(directory, journal.Options{SegmentBytes: 256 << 10, Policy: journal.Policy(policy)}, nil, nil)
	if err != nil {
		return err
	}
	end, _ := j.Committed()
	next := end
	turn := make(chan struct{}, 1)
	failed := make(chan error)
	fmt.Println(end - 1)
	for range 4 {
		go func() {
			for {
				turn <- struct{}{} // the content is that of the position
				p, err := j.Add(false, content(next), nil, nil, nil)
				if p != next {
					failed <- fmt.Errorf("position %d, %v, want %d", p, err, next)
				}
				next++
				<-turn
				if err := j.Await(p); err != nil {
					failed <- err
				}
				fmt.Println(p)
				if p > 3000 {
					j.Release(p - 3000)
				}
			}
		}()
	}
	return <-failed
}

// A process of its own is killed while it writes to the real disk, with each policy by turns. All
// that it has said to be kept is there.
func TestAKilledProcessLosesNothingThatWasKept(t *testing.T) {
	directory := t.TempDir()
	random := rand.New(rand.NewPCG(1, 1))
	kept, beyond := journal.Position(0), 0
	for kill := range max(6, *rounds) {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childDirectory+"="+directory, childPolicy+"="+strconv.Itoa(kill%3))
		child.Stderr = os.Stderr
		output, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		after, read := 1+random.IntN(1500), 0
		lines := bufio.NewReader(output)
		for {
			line, err := lines.ReadString('\n')
			if p, number := strconv.ParseUint(strings.TrimSpace(line), 10, 64); err == nil && number == nil {
				kept = max(kept, journal.Position(p))
			}
			if err == io.EOF {
				break // all that it said before its end was read
			}
			if read++; read == after {
				_ = child.Process.Kill()
			}
		}
		_ = child.Wait() // killed
		if read < after {
			t.Fatalf("kill %d: the child ended by itself", kill)
		}
		j, err := journal.Open(directory, journal.Options{SegmentBytes: 256 << 10}, nil, nil)
		if err != nil {
			t.Fatalf("kill %d: %v", kill, err)
		}
		end, _ := j.Committed()
		if end <= kept {
			t.Fatalf("kill %d: the end is %d, position %d was kept", kill, end, kept)
		}
		if end > kept+1 {
			beyond++
		}
		next, got := readAll(t, j, 1)
		for _, record := range got {
			if record != string(content(next)) {
				t.Fatalf("kill %d: position %d has other bytes", kill, next)
			}
			next++
		}
		if next != end {
			t.Fatalf("kill %d: read up to %d, want %d", kill, next, end)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d records; %d times some were there that the child had not said", kept, beyond)
}
