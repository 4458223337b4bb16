//go:build !linux

package main

import (
	"errors"
	"time"
)

var errLinuxOnly = errors.New("CPU time and memory are measured on Linux only")

func processTime() (time.Duration, error)            { return 0, errLinuxOnly }
func threadTime(func() error) (time.Duration, error) { return 0, errLinuxOnly }
func peakMemory() (int64, error)                     { return 0, errLinuxOnly }
func machineTime() (time.Duration, error)            { return 0, errLinuxOnly }
