// Package wire tests the wire: faults of the network and of the service, and each frame that a
// producer sends.
package wire
