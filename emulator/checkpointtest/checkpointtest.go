// Package checkpointtest has a checkpoint store in memory. With it, programs that use the Processor
// of Azure's Go client are tested without blob storage:
//
//	store := checkpointtest.NewStore()
//	processor, err := azeventhubs.NewProcessor(consumer, store, nil)
package checkpointtest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// A Store is an [azeventhubs.CheckpointStore] in memory. Several processors may share it. As blob
// storage does, it uses ETags to decide which processor gets a partition. Its methods may be called
// by several goroutines at once.
type Store struct {
	mu          sync.Mutex // guards the fields below
	checkpoints map[place]azeventhubs.Checkpoint
	ownerships  map[place]azeventhubs.Ownership
	version     int // of the latest ownership; its ETag
}

// A place is a partition and a consumer group, with names in lower case.
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

// within reports whether a place belongs to group's consumer group.
func (p place) within(group place) bool {
	p.partition = group.partition
	return p == group
}

// ClaimOwnership assigns partitions to their claimants, and returns those that it assigned. By the
// ETags it leaves out each partition that another processor has claimed since the claimant's last
// look.
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

// ListOwnership lists the owners of a consumer group's partitions, including owners that have given
// theirs up.
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

// SetCheckpoint stores a consumer group's progress in a partition, and replaces the previous one. It
// refuses a checkpoint without an offset or a sequence number. Azure's store for Go takes one into
// its blobs, and then lists no checkpoint of the group any more.
func (s *Store) SetCheckpoint(ctx context.Context, c azeventhubs.Checkpoint, _ *azeventhubs.SetCheckpointOptions) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.Offset == nil || c.SequenceNumber == nil {
		return fmt.Errorf("checkpointtest: the checkpoint of partition %q has the offset %s and the sequence number %s; set both", c.PartitionID, textOf(c.Offset), textOf(c.SequenceNumber))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checkpoints[placeOf(c.FullyQualifiedNamespace, c.EventHubName, c.ConsumerGroup, c.PartitionID)] = copyCheckpoint(c)
	return nil
}

// ListCheckpoints lists a consumer group's progress in each partition.
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

// copyOwnership copies, so that callers cannot change the store's contents.
func copyOwnership(o azeventhubs.Ownership) azeventhubs.Ownership {
	o.ETag = copyOf(o.ETag)
	return o
}

func copyCheckpoint(c azeventhubs.Checkpoint) azeventhubs.Checkpoint {
	c.Offset, c.SequenceNumber = copyOf(c.Offset), copyOf(c.SequenceNumber)
	return c
}

func textOf[T any](p *T) string {
	if p == nil {
		return "nil"
	}
	return fmt.Sprint(*p)
}

func copyOf[T any](p *T) *T {
	if p == nil {
		return nil
	}
	return new(*p)
}
