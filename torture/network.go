package main

import "time"

// A network is what lies between the producers and the emulator: a proxy, or another that makes its
// own kinds of faults.
type network interface {
	// address is where a producer reaches the emulator.
	address(producer int) string
	// disturb begins a fault on the way of a producer, which takes so long, or a moment. It calls
	// acted once, from any goroutine, when an observer sees the fault act. A fault that does not
	// act never calls it.
	disturb(producer int, kind string, lasts time.Duration, acted func(observed string))
	// calm ends the faults that wait to act.
	calm()
	// close ends all connections, and returns when the network's goroutines have ended.
	close() error
}
