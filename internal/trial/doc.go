// Package trial holds the tests that see a producer from outside. Each file is named after the
// subject of its tests: admission, order, flush, close, outcomes, retries, partitioning and so on.
//
// The tests here run in virtual time over a scripted hub, or over an emulator in memory. The rooms
// below have subjects of their own:
//
//   - wire: faults of the network and of the service, and what a producer says on the wire.
//   - idempotence: numbers, epochs, fencing and the stored identity.
//   - model: random runs that a judge compares with the guarantees.
//   - pairs: options in pairs, with a judge of their own.
//
// Package scripted is the hub that answers as a test says, without a network. Package world has the
// other tools: the emulator and the way to it, networks, stored state and outcomes. White-box tests
// in package eventhubs may import scripted, which does not import package eventhubs.
package trial
