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

// processTime is the CPU time of this process, user and system.
func processTime() (time.Duration, error) { return resourceTime(syscall.RUSAGE_SELF) }

// threadTime is the CPU time of f, which runs on a thread of its own. What other goroutines do meanwhile is not in it.
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

// peakMemory is the largest resident set of this process so far, in bytes. getrusage would count what the process that started this one held.
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

// machineTime is the CPU time that all processes of the machine have used, idle time and waiting apart, and what a virtual machine was denied because others
// have used the hardware.
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
	const hertz = 100 // USER_HZ, which is the same on every platform that Go runs on
	return time.Duration(user+nice+system+irq+softirq+steal) * (time.Second / hertz), nil
}
