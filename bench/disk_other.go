//go:build !linux

package main

import "os"

func syncData(file *os.File) error { return file.Sync() }

// uncache drops a synced file from the system's cache.
func uncache(*os.File) error { return errLinuxOnly }
