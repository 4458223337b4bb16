package main

import "time"

// A network is what lies between the producers and the emulator: a proxy, or another that makes its own kinds of
// faults.
type network interface {
	// address is where a producer reaches the emulator.
	address(producer int) string
	// disturb begins a fault on the way of a producer, which takes so long, or a moment. It calls acted once an
	// observer sees it act, with what was seen, from any goroutine and before the fault ends; never if it did not act.
	disturb(producer int, kind string, lasts time.Duration, acted func(observed string))
	// calm ends the faults that wait to act.
	calm()
	// close ends all connections, and returns when the network's goroutines have ended.
	close() error
}
