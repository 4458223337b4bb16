#!/usr/bin/env bash
# azeventhubs v2.0.2 (Go); rhea 3.0.5 as the server, 2026-11-30.
# The processor claims a partition, then lists the checkpoints to know where to start. If that list
# fails once, the processor keeps the partition for ever: it renews its claim, and reads nothing.
# Run goes on, and NextPartitionClient never gives the partition. Only a line in the log says so.
# A good guess: the next round tries again, as it does when the partition's link cannot be opened.
# Seen, 4 partitions, 50 rounds; the store's second list of checkpoints fails, nothing else does:
#   Run: <nil>
#   claimed in 40 rounds or more: 0 1 2 3
#   read: 3 of these 4
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); dir=$(mktemp -d); trap 'kill ${server:-} 2>/dev/null || true; rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-audit --no-fund rhea@3.0.5 >/dev/null
go mod init finding >/dev/null 2>&1
go get github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2@v2.0.2 >/dev/null 2>&1
cat > main.go <<'GO'
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// store is a checkpoint store in memory. Its second list of checkpoints fails, as one does while a storage is busy.
type store struct {
	sync.Mutex
	owners map[string]azeventhubs.Ownership
	claims map[string]int
	rounds int
	lists  int
	done   context.CancelFunc
}

func (s *store) ListOwnership(context.Context, string, string, string, *azeventhubs.ListOwnershipOptions) (owners []azeventhubs.Ownership, _ error) {
	s.Lock()
	defer s.Unlock()
	if s.rounds++; s.rounds > 50 {
		s.done()
	}
	for _, o := range s.owners {
		owners = append(owners, o)
	}
	return owners, nil
}

func (s *store) ClaimOwnership(_ context.Context, wanted []azeventhubs.Ownership, _ *azeventhubs.ClaimOwnershipOptions) (claimed []azeventhubs.Ownership, _ error) {
	s.Lock()
	defer s.Unlock()
	for _, o := range wanted {
		o.LastModifiedTime = time.Now()
		s.owners[o.PartitionID] = o
		s.claims[o.PartitionID]++
		claimed = append(claimed, o)
	}
	return claimed, nil
}

func (s *store) ListCheckpoints(context.Context, string, string, string, *azeventhubs.ListCheckpointsOptions) ([]azeventhubs.Checkpoint, error) {
	s.Lock()
	defer s.Unlock()
	if s.lists++; s.lists == 2 {
		return nil, errors.New("503 The server is busy.")
	}
	return nil, nil
}

func (s *store) SetCheckpoint(context.Context, azeventhubs.Checkpoint, *azeventhubs.SetCheckpointOptions) error {
	return nil
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	s := &store{owners: map[string]azeventhubs.Ownership{}, claims: map[string]int{}, done: cancel}
	client := must(azeventhubs.NewConsumerClientFromConnectionString(os.Args[1], "hub", "$Default", nil))
	processor := must(azeventhubs.NewProcessor(client, s, &azeventhubs.ProcessorOptions{UpdateInterval: 200 * time.Millisecond}))
	read := 0
	counted := make(chan struct{})
	go func() {
		for processor.NextPartitionClient(context.Background()) != nil {
			read++
		}
		close(counted)
	}()
	fmt.Println("Run:", processor.Run(ctx))
	<-counted
	fmt.Print("claimed in 40 rounds or more:")
	for _, id := range []string{"0", "1", "2", "3"} {
		if s.claims[id] >= 40 {
			fmt.Print(" ", id)
		}
	}
	fmt.Printf("\nread: %d of these 4\n", read)
}
GO
go mod tidy >/dev/null 2>&1; go build -o go-client .
PARTITIONS=4 NODE_PATH="$dir/node_modules" node "$here/server.js" accepted 1048576 > port & server=$!
for _ in $(seq 50); do [ -s port ] && break; sleep 0.1; done
got=$(timeout 60 ./go-client "Endpoint=sb://127.0.0.1:$(head -1 port);SharedAccessKeyName=k;SharedAccessKey=a2V5;UseDevelopmentEmulator=true")
want='Run: <nil>
claimed in 40 rounds or more: 0 1 2 3
read: 3 of these 4'
printf '%s\n' "$got"
[ "$got" = "$want" ] || { printf 'changed; it was\n%s\n' "$want" >&2; exit 1; }
