package eventhubs

import (
	"errors"
	"syscall"
	"testing"
)

// An error of Save means that the store kept nothing, even if the file exists by then. Otherwise
// the next Save would find an epoch that it does not know.
func TestAFileStateThatCannotBeMadeDurableKeepsNothing(t *testing.T) {
	store := fileStore(t.TempDir())
	key := ProducerKey{FullyQualifiedNamespace: "name.servicebus.windows.net", EventHubName: "hub", PartitionID: "0"}
	s := store.of(key)
	first, second := ProducerID{ID: 5}, ProducerID{ID: 5, Epoch: 1}
	if err := store.Save(t.Context(), key, ProducerID{}, first); err != nil {
		t.Fatal(err)
	}
	if err := s.add(s.name("0", 2), second); err != nil {
		t.Fatal(err)
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	err := s.settle("0", 2) // the next step of Save
	if back := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); back != nil {
		t.Fatal(back)
	}
	if !errors.Is(err, syscall.EMFILE) {
		t.Errorf("without a file to open it returned %v", err)
	}
	if got, err := store.Load(t.Context(), key); got != first || err != nil {
		t.Errorf("Load returned %v, %v, want %v", got, err, first)
	}
	if err := store.Save(t.Context(), key, first, second); err != nil {
		t.Errorf("the next Save returned %v", err)
	}
}
