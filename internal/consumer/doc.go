// Package consumer reads the events of a hub's partitions, for the command line. It keeps no
// checkpoints, shares no partitions and has no epochs: an application's consumer needs those.
package consumer
