package eventhubs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/go-eventhubs/eventhubs/internal/durable"
)

// A ProducerID identifies an idempotent producer to the service on one partition. The zero value
// identifies none.
type ProducerID struct {
	ID    int64 `json:"id"`
	Epoch int16 `json:"epoch"` // a higher epoch fences off the lower ones
}

// A ProducerKey names the partition of an event hub that a [ProducerStore] is asked about. One
// store may serve any number of hubs, also hubs of the same name in different namespaces.
type ProducerKey struct {
	FullyQualifiedNamespace string // in lower case; see [BufferedProducer.FullyQualifiedNamespace]
	EventHubName            string // in lower case, since the service ignores case
	PartitionID             string
}

// A ProducerStore keeps the identity of an idempotent producer on each partition
// ([Options.ProducerStore]). After a restart the service then sees the same producer.
//
// With a store, the new producer attaches with the next epoch. The service then refuses everything
// that the former one, hung or half dead, still sends. The service also reports the number of the
// producer's last stored event, which [PartitionStats.LastNumber] shows after Connect with Links.
// Numbers count the stored events of the partition. So a source that replays the same events to the
// same partitions in the same order continues after that number.
//
// A store does not keep events. Events in the buffer at the end of the former producer are lost. An
// event that the application enqueues again, instead of continuing after the number, is stored
// again. Numbers start over with a new ID, which the service gives to a producer that it has
// forgotten.
//
// The producer calls the store once for each attach with a new epoch, not for each batch, and from
// several goroutines at the same time. The methods should return when ctx ends. Their failures are
// retried like any other, with [CodeProducerStore]. A method that ends its goroutine
// (runtime.Goexit) has failed.
type ProducerStore interface {
	// Load returns the ProducerID last saved for a partition, or the zero ProducerID if there is
	// none.
	Load(ctx context.Context, key ProducerKey) (ProducerID, error)

	// Save keeps id for a partition, durably, if the present one is still old. Otherwise another
	// process has taken over, and the error matches [ErrProducerStateChanged]. Any other error must
	// mean that nothing was kept. If id was kept nevertheless, the partition is fenced until the
	// application restarts.
	Save(ctx context.Context, key ProducerKey, old, id ProducerID) error
}

// NewFileProducerStore returns a [ProducerStore] that keeps one or two small files for each
// partition, in directory/namespace/hub, which it creates. Save returns when the whole ID is on the
// disk (fsync), or changes nothing. If several processes save at the same time, one succeeds. The
// directory must be local and support hard links.
func NewFileProducerStore(directory string) ProducerStore { return fileStore(directory) }

// A fileStore is the directory with a subdirectory for each namespace, which has one for each hub.
type fileStore string

func (s fileStore) of(key ProducerKey) hubFiles {
	namespace := filepath.Join(string(s), escaped(key.FullyQualifiedNamespace))
	return hubFiles{directory: filepath.Join(namespace, escaped(key.EventHubName)), above: []string{namespace, string(s)}}
}

func (s fileStore) Load(_ context.Context, key ProducerKey) (ProducerID, error) {
	id, _, err := s.of(key).latest(key.PartitionID)
	return id, err
}

func (s fileStore) Save(_ context.Context, key ProducerKey, old, id ProducerID) error {
	return s.of(key).save(key.PartitionID, old, id)
}

// escaped returns the name of a directory, valid on any system, that stays below its parent.
// Different texts have different names.
func escaped(text string) string {
	name := strings.ReplaceAll(url.PathEscape(text), ":", "%3A")
	if name == "" || name != strings.Trim(name, ".") {
		return "%" + strings.ReplaceAll(name, ".", "%2E")
	}
	return name
}

// HubFiles keep the k-th ProducerID of a partition in a file named <partition>.<k>; the highest k
// counts. A save makes the next file by a hard link, which fails if the file exists. The previous
// file stays, so that a process that lists the directory always finds one of the two.
type hubFiles struct {
	directory string
	above     []string // the directories made with it, the nearest first
}

func (s hubFiles) save(partitionID string, old, id ProducerID) error {
	present, generation, err := s.latest(partitionID)
	if err != nil {
		return err
	}
	if present != old {
		return fmt.Errorf("eventhubs: partition %s: %w: %s already holds another epoch", partitionID, ErrProducerStateChanged, s.directory)
	}
	if err := s.add(s.name(partitionID, generation+1), id); err != nil {
		return err
	}
	return s.settle(partitionID, generation+1)
}

// settle makes the new generation durable, checks that it is the latest, and removes old ones. A
// later generation exists if other processes saved meanwhile. They may have made our name and
// removed it again, so that our link succeeded.
func (s hubFiles) settle(partitionID string, made int) error {
	unsynced := durable.SyncDirectory(s.directory)
	generations, err := s.generations(partitionID)
	if err := errors.Join(unsynced, err); err != nil {
		return errors.Join(err, os.Remove(s.name(partitionID, made))) // an error means: nothing was kept
	}
	for _, n := range generations {
		if n > made {
			if !slices.Contains(generations, made+1) {
				_ = os.Remove(s.name(partitionID, made)) // not the latest, nor its predecessor: remove it
			}
			return fmt.Errorf("eventhubs: partition %s: %w: %s holds a later epoch", partitionID, ErrProducerStateChanged, s.directory)
		}
	}
	for _, n := range generations {
		if n < made-1 {
			_ = os.Remove(s.name(partitionID, n)) // a later save removes what a crash leaves here
		}
	}
	return nil
}

// name returns the file of a partition's generation. No partition id can lead out of the directory.
func (s hubFiles) name(partitionID string, generation int) string {
	return filepath.Join(s.directory, url.PathEscape(partitionID)+"."+strconv.Itoa(generation))
}

// generations returns the generations that have a file, in any order.
func (s hubFiles) generations(partitionID string) (all []int, err error) {
	entries, err := os.ReadDir(s.directory)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if rest, ok := strings.CutPrefix(e.Name(), url.PathEscape(partitionID)+"."); ok {
			if n, err := strconv.Atoi(rest); err == nil && n > 0 {
				all = append(all, n)
			}
		}
	}
	return all, nil
}

// latest returns the ProducerID last saved, and its generation: zero if there is none.
func (s hubFiles) latest(partitionID string) (id ProducerID, generation int, err error) {
	generations, err := s.generations(partitionID)
	if err != nil || len(generations) == 0 {
		return id, 0, err
	}
	generation = slices.Max(generations)
	name := s.name(partitionID, generation)
	text, err := os.ReadFile(name)
	if err != nil {
		return id, 0, err // another save may just have removed it: the next try finds the new one
	}
	if err := json.Unmarshal(text, &id); err != nil || id == (ProducerID{}) || id.Epoch < 0 {
		return id, 0, fmt.Errorf("%s does not hold a producer's id and epoch: restore it, or remove it to begin as a new producer", name)
	}
	return id, generation, nil
}

// add makes a whole file, unless one of that name exists.
func (s hubFiles) add(name string, id ProducerID) error {
	if err := os.MkdirAll(s.directory, 0o700); err != nil {
		return err
	}
	for _, above := range s.above { // the directories must last as long as the file
		if err := durable.SyncDirectory(above); err != nil {
			return err
		}
	}
	text, err := json.Marshal(id)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(s.directory, ".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary.Name()) }()
	_, err = temporary.Write(append(text, '\n'))
	if err == nil {
		err = temporary.Sync()
	}
	if err := errors.Join(err, temporary.Close()); err != nil {
		return err
	}
	err = os.Link(temporary.Name(), name)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("eventhubs: %w: %s was made by another process", ErrProducerStateChanged, name)
	}
	return err
}
