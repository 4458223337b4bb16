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
	"syscall"
)

// A ProducerID is who an idempotent producer is to the service on one partition. The zero value is nobody.
type ProducerID struct {
	ID    int64 `json:"id"`
	Epoch int16 `json:"epoch"` // the higher one fences off the lower ones
}

// A ProducerKey says of which partition of which event hub a [ProducerStore] is asked. One store may serve any number of hubs, also those of one name in different
// namespaces.
type ProducerKey struct {
	FullyQualifiedNamespace string // in lower case, as [BufferedProducer.FullyQualifiedNamespace] returns it
	EventHubName            string // in lower case, since the service does not mind case
	PartitionID             string
}

// A ProducerStore keeps who an idempotent producer is on each partition ([Options.ProducerStore]), so that a restarted application is the same producer
// to the service.
//
// What that gives: when the new one attaches, with the next epoch, the service refuses whatever the former one, hung or half dead, still has on its way;
// and it tells the number of the producer's last stored event, which [PartitionStats.LastNumber] shows after Connect with Links. Numbers count the
// stored events of the partition, so a source that can be replayed, and that gives the same events to the same partitions in the same order, goes on behind
// that many. What it does not give: events that were buffered at the end are not sent by anyone, and an event that the application enqueues again, instead
// of going on behind the number, is stored again. And numbers begin anew with a new ID, which the service gives to a producer that it has forgotten.
//
// A store is used once for each attach with a new epoch, not for each batch, by several goroutines at the same time. Its methods should return
// when ctx ends. Their failures are tried again like any other, with [CodeProducerStore]; one that ends its goroutine (runtime.Goexit) has failed.
type ProducerStore interface {
	// Load returns what was saved last for a partition; the zero ProducerID if nothing was.
	Load(ctx context.Context, key ProducerKey) (ProducerID, error)

	// Save keeps id for a partition, durably, if what is kept is still old. Otherwise another process has taken over, and the error matches
	// [ErrProducerStateChanged]. Any other error must mean that nothing was kept: if id was, the partition is fenced until the application restarts.
	Save(ctx context.Context, key ProducerKey, old, id ProducerID) error
}

// NewFileProducerStore returns a [ProducerStore] that keeps a small file or two for each partition, in directory/namespace/hub, which it creates. What is saved is
// on the disk (fsync) before Save returns, whole or not at all, and of several processes that save at the same time one succeeds. The directory must be
// local and support hard links.
func NewFileProducerStore(directory string) ProducerStore { return fileStore(directory) }

// A fileStore is the directory in which a namespace's directory has a directory for each hub.
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

// escaped is a directory's name, on any system, which does not lead out of where it is. Different texts have different ones.
func escaped(text string) string {
	name := strings.ReplaceAll(url.PathEscape(text), ":", "%3A")
	if name == "" || name != strings.Trim(name, ".") {
		return "%" + strings.ReplaceAll(name, ".", "%2E")
	}
	return name
}

// HubFiles keep the k-th ProducerID of a partition in a file named <partition>.<k>, of which the one with the highest k counts. To save is to make the next
// one by a hard link, which fails if there is one already. The one before stays, so that
// whoever lists the directory meanwhile finds one of the two.
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

// settle makes the generation just made durable, looks whether it is the latest, and removes what does not count any more. A later one is there if somebody has
// taken over meanwhile, or if we were so slow that others have made our name, gone on and removed it.
func (s hubFiles) settle(partitionID string, made int) error {
	unsynced := syncDirectory(s.directory)
	generations, err := s.generations(partitionID)
	if err := errors.Join(unsynced, err); err != nil {
		return errors.Join(err, os.Remove(s.name(partitionID, made))) // an error says that nothing was kept
	}
	for _, n := range generations {
		if n > made {
			if !slices.Contains(generations, made+1) {
				_ = os.Remove(s.name(partitionID, made)) // nor is it the one before
			}
			return fmt.Errorf("eventhubs: partition %s: %w: %s holds a later epoch", partitionID, ErrProducerStateChanged, s.directory)
		}
	}
	for _, n := range generations {
		if n < made-1 {
			_ = os.Remove(s.name(partitionID, n)) // what a crash leaves behind here the next one removes
		}
	}
	return nil
}

// name is the file of a partition's generation. No partition id can lead out of the directory.
func (s hubFiles) name(partitionID string, generation int) string {
	return filepath.Join(s.directory, url.PathEscape(partitionID)+"."+strconv.Itoa(generation))
}

// generations are those of which there is a file, in any order.
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

// latest returns what was saved last, and its generation: zero if nothing was.
func (s hubFiles) latest(partitionID string) (id ProducerID, generation int, err error) {
	generations, err := s.generations(partitionID)
	if err != nil || len(generations) == 0 {
		return id, 0, err
	}
	generation = slices.Max(generations)
	name := s.name(partitionID, generation)
	text, err := os.ReadFile(name)
	if err != nil {
		return id, 0, err // perhaps it was replaced this moment: the next try finds the new one
	}
	if err := json.Unmarshal(text, &id); err != nil || id == (ProducerID{}) || id.Epoch < 0 {
		return id, 0, fmt.Errorf("%s does not hold a producer's id and epoch: restore it, or remove it to begin as a new producer", name)
	}
	return id, generation, nil
}

// add makes a file, whole, unless there is one of that name.
func (s hubFiles) add(name string, id ProducerID) error {
	if err := os.MkdirAll(s.directory, 0o700); err != nil {
		return err
	}
	for _, above := range s.above { // their entries must last as long as the file
		if err := syncDirectory(above); err != nil {
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

// syncDirectory makes the directory's entries durable, where the system can.
func syncDirectory(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) || errors.Is(err, fs.ErrPermission) {
		err = nil // Windows has no such thing, nor have some file systems
	}
	return errors.Join(err, d.Close())
}
