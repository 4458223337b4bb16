// Package checkpointtest has a checkpoint store in memory, with which programs that use the Processor of Azure's Go
// client are tested without blob storage:
//
//	store := checkpointtest.NewStore()
//	processor, err := azeventhubs.NewProcessor(consumer, store, nil)
package checkpointtest

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// A Store is an [azeventhubs.CheckpointStore] in memory. Any number of processors may share it; it settles who gets a
// partition as blob storage does, by ETags. Its methods may be called by any number of goroutines.
type Store struct {
	mu          sync.Mutex // guards the fields below
	checkpoints map[place]azeventhubs.Checkpoint
	ownerships  map[place]azeventhubs.Ownership
	version     int // of the latest ownership; its ETag
}

// A place is a partition as a consumer group sees it, with its names in lower case.
type place struct{ namespace, hub, group, partition string }

var _ azeventhubs.CheckpointStore = (*Store)(nil)

// NewStore makes an empty store.
func NewStore() *Store {
	return &Store{
		checkpoints: make(map[place]azeventhubs.Checkpoint),
		ownerships:  make(map[place]azeventhubs.Ownership),
	}
}

func placeOf(namespace, hub, group, partition string) place {
	return place{strings.ToLower(namespace), strings.ToLower(hub), strings.ToLower(group), partition}
}

// within tells whether a place belongs to the consumer group that group is a place of.
func (p place) within(group place) bool {
	p.partition = group.partition
	return p == group
}

// ClaimOwnership gives partitions to those who want them, and returns those that it gave: not the ones that somebody
// else has claimed since the claimant looked, as the ETags tell.
func (s *Store) ClaimOwnership(ctx context.Context, wanted []azeventhubs.Ownership, _ *azeventhubs.ClaimOwnershipOptions) ([]azeventhubs.Ownership, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var got []azeventhubs.Ownership
	for _, o := range wanted {
		at := placeOf(o.FullyQualifiedNamespace, o.EventHubName, o.ConsumerGroup, o.PartitionID)
		old, taken := s.ownerships[at]
		if taken && (o.ETag == nil || *o.ETag != *old.ETag) || !taken && o.ETag != nil {
			continue
		}
		s.version++
		o.ETag = new(azcore.ETag(strconv.Itoa(s.version)))
		o.LastModifiedTime = time.Now().UTC()
		s.ownerships[at] = o
		got = append(got, copyOwnership(o))
	}
	return got, nil
}

// ListOwnership lists who has which partition of a consumer group, those included who have given theirs back.
func (s *Store) ListOwnership(ctx context.Context, namespace, hub, group string, _ *azeventhubs.ListOwnershipOptions) ([]azeventhubs.Ownership, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []azeventhubs.Ownership
	for at, o := range s.ownerships {
		if at.within(placeOf(namespace, hub, group, "")) {
			all = append(all, copyOwnership(o))
		}
	}
	slices.SortFunc(all, func(a, b azeventhubs.Ownership) int { return strings.Compare(a.PartitionID, b.PartitionID) })
	return all, nil
}

// SetCheckpoint remembers how far a consumer group is with a partition, in place of what was remembered before.
func (s *Store) SetCheckpoint(ctx context.Context, c azeventhubs.Checkpoint, _ *azeventhubs.SetCheckpointOptions) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.Offset == nil && c.SequenceNumber == nil {
		return errors.New("checkpointtest: the checkpoint has neither an offset nor a sequence number")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checkpoints[placeOf(c.FullyQualifiedNamespace, c.EventHubName, c.ConsumerGroup, c.PartitionID)] = copyCheckpoint(c)
	return nil
}

// ListCheckpoints lists how far a consumer group is with each partition.
func (s *Store) ListCheckpoints(ctx context.Context, namespace, hub, group string, _ *azeventhubs.ListCheckpointsOptions) ([]azeventhubs.Checkpoint, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []azeventhubs.Checkpoint
	for at, c := range s.checkpoints {
		if at.within(placeOf(namespace, hub, group, "")) {
			all = append(all, copyCheckpoint(c))
		}
	}
	slices.SortFunc(all, func(a, b azeventhubs.Checkpoint) int { return strings.Compare(a.PartitionID, b.PartitionID) })
	return all, nil
}

// copyOwnership keeps callers from changing what the store holds.
func copyOwnership(o azeventhubs.Ownership) azeventhubs.Ownership {
	o.ETag = copyOf(o.ETag)
	return o
}

func copyCheckpoint(c azeventhubs.Checkpoint) azeventhubs.Checkpoint {
	c.Offset, c.SequenceNumber = copyOf(c.Offset), copyOf(c.SequenceNumber)
	return c
}

func copyOf[T any](p *T) *T {
	if p == nil {
		return nil
	}
	return new(*p)
}
