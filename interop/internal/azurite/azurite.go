// Package azurite installs Azurite, an emulator of blob storage, in the version that its
// package-lock.json pins.
package azurite

import (
	"context"
	"path/filepath"

	"github.com/go-eventhubs/eventhubs/internal/setup"
)

// Prepare installs Azurite's blob storage, and returns its command. It keeps its blobs in memory.
// It must run in interop's folder.
func Prepare(ctx context.Context) (command []string, err error) {
	dir, err := setup.NPM(ctx, "azurite", filepath.Join("internal", "azurite"))
	return []string{
		"node", filepath.Join(dir, "node_modules", "azurite", "dist", "src", "blob", "main.js"),
		"--silent", "--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck",
	}, err
}
