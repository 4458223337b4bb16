package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// processTime returns the CPU time of this process, user and system.
func processTime() (time.Duration, error) { return resourceTime(syscall.RUSAGE_SELF) }

// threadTime returns the CPU time of f on its own thread. It does not include other goroutines.
func threadTime(f func() error) (time.Duration, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := resourceTime(syscall.RUSAGE_THREAD)
	if err != nil {
		return 0, err
	}
	if err := f(); err != nil {
		return 0, err
	}
	after, err := resourceTime(syscall.RUSAGE_THREAD)
	return after - before, err
}

func resourceTime(who int) (time.Duration, error) {
	var r syscall.Rusage
	if err := syscall.Getrusage(who, &r); err != nil {
		return 0, fmt.Errorf("getrusage: %w", err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), nil
}

// peakMemory returns the largest resident set of this process so far, in bytes. getrusage would
// include the memory of its parent process.
func peakMemory() (int64, error) {
	file, err := os.Open("/proc/self/status")
	if err != nil {
		return 0, err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var kilobytes int64
		if n, _ := fmt.Sscanf(lines.Text(), "VmHWM: %d kB", &kilobytes); n == 1 {
			return kilobytes << 10, nil
		}
	}
	return 0, fmt.Errorf("%s has no VmHWM", file.Name())
}

// machineTime returns the CPU time of all processes of the machine, without idle time and waiting.
// It includes time that the virtual machine lost to others on the hardware.
func machineTime() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	var user, nice, system, idle, wait, irq, softirq, steal int64
	first, _, _ := strings.Cut(string(text), "\n")
	if _, err := fmt.Sscanf(first, "cpu %d %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &wait, &irq, &softirq, &steal); err != nil {
		return 0, fmt.Errorf("/proc/stat begins with %q: %w", first, err)
	}
	const hertz = 100 // USER_HZ; the same on every platform of Go
	return time.Duration(user+nice+system+irq+softirq+steal) * (time.Second / hertz), nil
}
