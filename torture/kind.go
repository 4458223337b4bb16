package main

import (
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// A layer is where a fault is made.
type layer string

const (
	inService layer = "service" // by the emulator's hook
	inNetwork layer = "network" // on the way between a producer and the emulator, of its connections
	inPackets layer = "packets" // on the same way, of its packets; only with a router
	inDisk    layer = "disk"    // of a journal; only with a file system of its own, which root mounts
	inProcess layer = "process" // by signals, and by starting processes again
	inClock   layer = "clock"   // of the credential and of the token check
)

// A kind of fault.
type kind struct {
	name  string
	layer layer
	// lasts is the shortest and the longest time that it takes; zero for a moment.
	lasts [2]time.Duration
	// weight is how often it comes, compared with the others.
	weight int
	// fits says for which producers it is; nil: for all. For a fault that concerns all producers at
	// once it is never.
	fits func(*profile) bool
	// fails: a try of the producer must fail of it, or it did not act.
	fails bool
	// duplicates: a batch may be stored, and its acknowledgement lost.
	duplicates bool
	// wide: it disturbs all partitions of the connection, not only the one that it was made in.
	wide bool

	op     emulator.Kind                         // in the service: the operation that it is made of
	action func(d time.Duration) emulator.Action // in the service: what becomes of that operation
}

// Kinds that the driver treats one by one.
const (
	killProducer    = "kill -9 a producer"
	killJournal     = "kill -9 a producer with a journal"
	fillDisk        = "full disk, and no network"
	stopProducer    = "SIGSTOP a producer"
	restartProducer = "restart a producer"
	takeOver        = "steal a producer's identity"
	killService     = "kill -9 the emulator"
	stopService     = "SIGSTOP the emulator"
	restartService  = "restart the emulator"
	forget          = "forget the producers"
	cutAll          = "cut all connections"
	clientBehind    = "client's clock behind"
	serverAhead     = "server's clock ahead"
	noToken         = "credential without a token"

	resetWay     = "reset"
	blackHoleUp  = "black hole to the service"
	blackHoleOff = "black hole from the service"
	delayWay     = "delay of 20 to 150 ms"
	slowWay      = "1 MB/s"
	trickleWay   = "byte by byte"
	frameWay     = "cut within a frame"
	handshakeWay = "TLS handshake broken off"
	garbleWay    = "TLS record changed"

	lossPackets    = "loss of 2 % of the packets"
	delayPackets   = "round trip of 80 ± 40 ms"
	reorderPackets = "packets reordered"
	repeatPackets  = "packets duplicated"
	ratePackets    = "line of 1 MB/s"
	holeUp         = "packets to the service swallowed"
	holeDown       = "packets from the service swallowed"
	largePackets   = "large packets dropped"
	forgetMappings = "NAT forgets, silently"
	resetMappings  = "NAT forgets, with a reset"
	newAddress     = "change of address"
)

const (
	busy     = "com.microsoft:server-busy"
	textBusy = "The request was terminated because the entity is being throttled. Error code : 50002. Please wait 1 seconds and try again."
	forced   = "amqp:connection:forced"
	detached = "amqp:link:detach-forced"
	internal = "amqp:internal-error"
)

func at(a emulator.Action) func(time.Duration) emulator.Action {
	return func(time.Duration) emulator.Action { return a }
}

func onTransfer(name string, a emulator.Action) kind {
	return kind{name: name, layer: inService, weight: 60, op: emulator.KindTransfer, action: at(a), fails: true}
}

func onAttach(name string, a emulator.Action) kind {
	return kind{name: name, layer: inService, weight: 12, op: emulator.KindAttach, action: at(a), fails: true}
}

func onPackets(name string, weight int) kind {
	return kind{name: name, layer: inPackets, weight: weight, duplicates: true, lasts: [2]time.Duration{500 * ms, 2500 * ms}}
}

func (k kind) mayDuplicate() kind    { k.duplicates = true; return k }
func (k kind) ofConnection() kind    { k.wide, k.duplicates = true, true; return k }
func (k kind) comes(weight int) kind { k.weight = weight; return k }
func (k kind) lasting(from, to time.Duration, action func(time.Duration) emulator.Action) kind {
	k.lasts, k.action, k.fails = [2]time.Duration{from, to}, action, false
	return k
}

const ms = time.Millisecond

// kinds are all that a run makes. The weights of those that stop a whole process or way are small:
// they take long.
var kinds = []kind{
	onTransfer("cut before store", emulator.Cut()).ofConnection(),
	onTransfer("cut after store", emulator.Cut().Stored()).ofConnection(),
	onTransfer("lost acknowledgement", emulator.Silence().Stored()).mayDuplicate(),
	onTransfer("silence", emulator.Silence()).comes(30),
	onTransfer("throttle", emulator.Reject(busy, textBusy)),
	onTransfer("reject", emulator.Reject(internal, "The service was unable to process the request.")),
	onTransfer("reject for good", emulator.Reject("com.microsoft:argument-error", "The message is not acceptable.")),
	onTransfer("release", emulator.Release()),
	onTransfer("modify", emulator.Modify()),
	onTransfer("detach", emulator.Detach(detached, "The link is force detached.")),
	onTransfer("detach after store", emulator.Detach(detached, "The link is force detached.").Stored()).mayDuplicate(),
	onTransfer("close", emulator.CloseConnection(forced, "The connection was closed.")).ofConnection(),
	onTransfer("close after store", emulator.CloseConnection(forced, "The connection was closed.").Stored()).ofConnection(),
	onTransfer("slow answer", emulator.Action{}).mayDuplicate().lasting(50*ms, 500*ms, func(d time.Duration) emulator.Action { return emulator.Pass().AnswerAfter(d) }),
	onTransfer("slow store", emulator.Action{}).mayDuplicate().lasting(50*ms, 500*ms, func(d time.Duration) emulator.Action { return emulator.Pass().After(d) }),
	onTransfer("stalled socket", emulator.Action{}).ofConnection().lasting(100*ms, 1500*ms, func(d time.Duration) emulator.Action { return emulator.Pass().StallReading(d) }),
	onTransfer("closed window", emulator.Action{}).ofConnection().lasting(100*ms, 1500*ms, func(d time.Duration) emulator.Action { return emulator.Pass().CloseWindow(d) }),
	onAttach("credit held", emulator.Action{}).lasting(100*ms, 1000*ms, emulator.WithholdCredit),
	onAttach("no credit", emulator.WithholdCredit(0)),
	onAttach("attach refused", emulator.Reject(busy, textBusy)),
	onAttach("attach cut", emulator.Cut()).ofConnection(),
	onAttach("attach without an answer", emulator.Silence()).comes(4),
	onAttach("attach detached", emulator.Detach(detached, "The link is force detached.")),
	{name: "token refused", layer: inService, weight: 12, op: emulator.KindPutToken, fails: true,
		action: at(emulator.Reject("amqp:unauthorized-access", "InvalidSignature: The token has an invalid signature.").WithStatus(401))},
	{name: "token without an answer", layer: inService, weight: 2, op: emulator.KindPutToken, fails: true, action: at(emulator.Silence())},
	{name: "list of partitions refused", layer: inService, weight: 8, op: emulator.KindManagement, action: at(emulator.Reject(busy, textBusy))},
	{name: "list of partitions without an answer", layer: inService, weight: 8, op: emulator.KindManagement, action: at(emulator.Silence())},
	{name: cutAll, layer: inService, weight: 4, duplicates: true, fits: allAtOnce},

	{name: resetWay, layer: inNetwork, weight: 8, duplicates: true},
	{name: blackHoleUp, layer: inNetwork, weight: 4, duplicates: true, lasts: [2]time.Duration{500 * ms, 2500 * ms}},
	{name: blackHoleOff, layer: inNetwork, weight: 4, duplicates: true, lasts: [2]time.Duration{500 * ms, 2500 * ms}},
	{name: delayWay, layer: inNetwork, weight: 6, duplicates: true, lasts: [2]time.Duration{500 * ms, 2500 * ms}},
	{name: slowWay, layer: inNetwork, weight: 6, duplicates: true, lasts: [2]time.Duration{500 * ms, 2500 * ms}},
	{name: trickleWay, layer: inNetwork, weight: 4, duplicates: true, lasts: [2]time.Duration{200 * ms, 1000 * ms}},
	{name: frameWay, layer: inNetwork, weight: 8, duplicates: true},
	{name: handshakeWay, layer: inNetwork, weight: 4, duplicates: true, fits: overTLS},
	{name: garbleWay, layer: inNetwork, weight: 4, duplicates: true, fits: overTLS},

	onPackets(lossPackets, 6),
	onPackets(delayPackets, 6),
	onPackets(reorderPackets, 6),
	onPackets(repeatPackets, 6),
	onPackets(ratePackets, 6),
	onPackets(holeUp, 4),
	onPackets(holeDown, 4),
	onPackets(largePackets, 4),
	{name: forgetMappings, layer: inPackets, weight: 2, duplicates: true},
	{name: resetMappings, layer: inPackets, weight: 6, duplicates: true},
	{name: newAddress, layer: inPackets, weight: 2, duplicates: true},

	{name: fillDisk, layer: inDisk, weight: 3, duplicates: true, lasts: [2]time.Duration{3000 * ms, 7000 * ms}, fits: func(p *profile) bool { return p.journal != nil && p.journal.room > 0 }},

	{name: killProducer, layer: inProcess, weight: 1, duplicates: true, fits: func(p *profile) bool { return !p.steady }},
	{name: killJournal, layer: inProcess, weight: 3, duplicates: true, fits: withJournal},
	{name: stopProducer, layer: inProcess, weight: 1, duplicates: true, lasts: [2]time.Duration{200 * ms, 3500 * ms}},
	{name: restartProducer, layer: inProcess, weight: 1, fits: func(p *profile) bool { return !p.steady }},
	{name: takeOver, layer: inProcess, weight: 1, lasts: [2]time.Duration{500 * ms, 2500 * ms}, fits: func(p *profile) bool { return p.idempotent && p.journal == nil }},
	{name: killService, layer: inProcess, weight: 1, duplicates: true, lasts: [2]time.Duration{0, 500 * ms}, fits: allAtOnce},
	{name: stopService, layer: inProcess, weight: 1, duplicates: true, lasts: [2]time.Duration{200 * ms, 3000 * ms}, fits: allAtOnce},
	{name: restartService, layer: inProcess, weight: 1, duplicates: true, lasts: [2]time.Duration{0, 500 * ms}, fits: allAtOnce},
	{name: forget, layer: inProcess, weight: 1, duplicates: true, lasts: [2]time.Duration{0, 500 * ms}, fits: allAtOnce},

	{name: clientBehind, layer: inClock, weight: 2, fits: overTLS},
	{name: serverAhead, layer: inClock, weight: 2, fits: allAtOnce},
	{name: noToken, layer: inClock, weight: 2, fits: overTLS},
}

// allAtOnce marks the faults that are not of a single producer.
var allAtOnce = func(*profile) bool { return false }

func withJournal(p *profile) bool { return p.journal != nil }

func overTLS(p *profile) bool { return p.tls }

func kindOf(name string) *kind {
	for i := range kinds {
		if kinds[i].name == name {
			return &kinds[i]
		}
	}
	return nil
}
