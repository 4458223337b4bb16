// Package wire tests what happens on the wire: faults of the network and of the service, and each frame that a producer sends.
package wire
