package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-eventhubs/eventhubs/torture/judge"
	router "github.com/go-eventhubs/eventhubs/torture/network"
)

// An options is what the command line says.
type options struct {
	seed       uint64
	lasting    time.Duration
	rate       int     // events a second of all producers together; 0: as many as they can
	faults     float64 // a second
	partitions int
	retention  int // events that a partition keeps
	directory  string
	only       string // kinds of faults, by a part of their names; empty: all
	plain      bool   // no namespaces, and no faults of packets
	kills      int    // of the publisher, instead of faults at random; 0: none
}

// A driver runs the processes, makes the faults, and has the judge decide. Its fields belong to one
// goroutine, which runs the loop: all that others have to say is posted to it.
type driver struct {
	options   options
	directory string
	inbox     *mailbox
	failure   error // what ends the run early

	plan       *plan
	log        *faultLog
	network    network
	router     *router.Network // nil if plain
	children   map[*child]bool
	processors map[string]time.Duration // the processor time of the processes that have ended, by role
	life       uint32                   // the last that was given out

	emulator *child
	address  string // of the emulator
	serving  bool   // the emulator is there, and no fault is about it
	judge    *child
	profiles []*profile
	disks    []string // of journals
	slots    []*slot
	waiting  map[string][]*fault // for a token, by the name of the kind
	ending   bool                // no fault begins any more

	stored  int64 // events, by the emulator
	ends    []int64
	read    uint64 // events, by the judge
	holding bool
	verdict *judge.Verdict
	peak    uint64
}

// A slot is a producer, with its present life.
type slot struct {
	number    int
	profile   *profile
	origin    uint32 // its first life
	child     *child
	accepted  bool         // the present life has accepted an event
	heard     bool         // the present life has reported an outcome
	busy      bool         // a fault is about its process
	armed     map[bool]int // faults in the service that wait for its transfers, and for its other operations
	filling   *fault       // takes the room of its disk; nil for none
	disturbed bool         // the network's last fault was a moment ago
}

// newDriver makes the directories of a run.
func newDriver(o options) (*driver, error) {
	for _, name := range []string{"records", "logs", "data", "identities", journalsName} {
		if err := os.MkdirAll(filepath.Join(o.directory, name), 0o700); err != nil {
			return nil, err
		}
	}
	if err := checkDisk(&o); err != nil {
		return nil, err
	}
	if err := makeCertificate(o.directory); err != nil {
		return nil, err
	}
	log, err := newFaultLog(o.directory)
	if err != nil {
		return nil, err
	}
	d := &driver{
		options: o, directory: o.directory, log: log, inbox: newMailbox(),
		children: make(map[*child]bool), waiting: make(map[string][]*fault), processors: make(map[string]time.Duration),
		profiles: o.profiles(),
	}
	d.plan = newPlan(o.seed, o.faults, o.kinds())
	return d, nil
}

// post has the loop call f.
func (d *driver) post(f func()) { d.inbox.post(f) }

// later has the loop call f after a time.
func (d *driver) later(after time.Duration, f func()) {
	time.AfterFunc(after, func() { d.post(f) })
}

// fail ends the run with an error.
func (d *driver) fail(err error) { d.failure = errors.Join(d.failure, err) }

// until runs the loop until a condition holds, the run has failed, or the time is over.
func (d *driver) until(what string, within time.Duration, condition func() bool) error {
	late := time.NewTimer(within)
	defer late.Stop()
	for d.failure == nil && !condition() {
		select {
		case <-d.inbox.wake:
			for _, f := range d.inbox.take() {
				f()
			}
		case <-late.C:
			return fmt.Errorf("%s: not within %v", what, within)
		}
	}
	return d.failure
}

// run is the whole run. When ctx ends it ends as if its time were over.
func (d *driver) run(ctx context.Context) (err error) {
	defer func() {
		for c := range d.children {
			_ = c.command.Process.Kill()
		}
		if d.network != nil {
			err = errors.Join(err, d.network.close())
		}
		if d.router != nil {
			err = errors.Join(err, d.router.Close())
		}
		err = errors.Join(err, d.unmountDisks())
	}()
	if err := d.assemble(); err != nil {
		return err
	}
	if d.options.kills > 0 {
		if err := d.kill(ctx); err != nil {
			return err
		}
		return d.finish()
	}
	over := false
	d.later(d.options.lasting, func() { over = true })
	stop := context.AfterFunc(ctx, func() { d.post(func() { over = true }) })
	defer stop()
	d.scheduleFault()
	if err := d.until("the run", d.options.lasting+time.Hour, func() bool { return over }); err != nil {
		return err
	}
	return d.finish()
}

const (
	startTimeout = time.Minute
	// drainTimeout is how long the last lives may take to send what is left, and what is in journals.
	drainTimeout = 5 * time.Minute
)

// assemble starts the emulator, the judge and the producers, in that order.
func (d *driver) assemble() (err error) {
	if err := d.mountDisks(); err != nil {
		return err
	}
	if !d.options.plain {
		if d.router, err = newRouter(d.options.seed); err != nil {
			return err
		}
		d.address = serviceAddress()
	}
	if err := d.startEmulator(false, func(*ready) { d.serving = true }); err != nil {
		return err
	}
	if err := d.until("the emulator starts", startTimeout, func() bool { return d.serving }); err != nil {
		return err
	}
	judging := false
	d.judge = &child{ready: func(*ready) { judging = true }, message: d.fromJudge}
	d.life++
	if err := d.start("judge", setup{Role: "judge", Life: d.life, Directory: d.directory, Address: d.address, Partitions: d.options.partitions}, d.judge); err != nil {
		return err
	}
	if err := d.until("the judge starts", startTimeout, func() bool { return judging }); err != nil {
		return err
	}
	if err := d.makeNetwork(); err != nil {
		return err
	}
	started := 0
	for i, p := range d.profiles {
		s := &slot{number: i, profile: p, armed: make(map[bool]int)}
		d.slots = append(d.slots, s)
		if err := d.startProducer(s, func() { started++ }); err != nil {
			return err
		}
	}
	return d.until("the producers start", startTimeout, func() bool { return started == len(d.slots) })
}

func (d *driver) makeNetwork() error {
	if d.router == nil {
		p, err := newProxy(d.address, len(d.profiles))
		if err == nil {
			d.network = p
		}
		return err
	}
	n, err := newRouted(d.router, d.address)
	if err == nil {
		d.network = n
	}
	return err
}

// startEmulator starts an emulator with the data of the former one.
func (d *driver) startEmulator(forget bool, then func(*ready)) error {
	c := &child{message: d.fromEmulator}
	c.ready = func(r *ready) {
		d.address = r.Address
		then(r)
	}
	d.emulator = c
	d.life++
	return d.start("emulator", setup{
		Role: "emulator", Life: d.life, Directory: d.directory, Address: d.address, Partitions: d.options.partitions,
		Retention: d.options.retention, Forget: forget, Tracked: d.options.seed%2 == 1,
	}, c)
}

// startProducer starts the next life of a producer.
func (d *driver) startProducer(s *slot, then func()) error {
	c := &child{}
	c.ready = func(*ready) {
		if !d.holding {
			c.line.send(command{Go: true})
		}
		then()
	}
	c.message = func(m *message) { d.fromProducer(s, m) }
	s.child, s.accepted, s.heard = c, false, false
	d.life++
	if s.origin == 0 {
		s.origin = d.life
	}
	return d.start(fmt.Sprintf("producer %d", s.number), setup{
		Role: "producer", Life: d.life, Directory: d.directory, Address: d.network.address(s.number), Partitions: d.options.partitions,
		Producer: s.number, Rate: d.options.rate / len(d.profiles), Source: s.profile == &publisher, Origin: s.origin,
	}, c)
}

// finish ends all faults, has the producers send what they hold, and the judge decide.
func (d *driver) finish() error {
	d.ending = true
	d.network.calm()
	d.right()
	// Process faults that are under way end by themselves.
	if err := d.until("the last faults end", 2*time.Minute, d.undisturbed); err != nil {
		return err
	}
	d.emulator.line.send(command{Disarm: true})
	for _, s := range d.slots {
		s.child.ended = func(state *os.ProcessState) {
			if !state.Success() {
				d.fail(fmt.Errorf("producer %d ended with %v", s.number, state))
			}
			s.child = nil
		}
		s.child.line.send(command{Close: s.profile.journal == nil, Drain: s.profile.journal != nil})
	}
	gone := func(s *slot) bool { return s.child == nil }
	if err := d.until("the producers close", drainTimeout, func() bool { return !slices.ContainsFunc(d.slots, func(s *slot) bool { return !gone(s) }) }); err != nil {
		return err
	}
	if err := d.log.close(); err != nil {
		return err
	}
	d.ends = nil
	d.emulator.line.send(command{Ends: true})
	if err := d.until("the emulator says how much is stored", startTimeout, func() bool { return d.ends != nil }); err != nil {
		return err
	}
	d.judge.ended = func(*os.ProcessState) {}
	d.judge.line.send(command{Finish: d.ends})
	if err := d.until("the judge decides", 10*time.Minute, func() bool { return d.verdict != nil }); err != nil {
		return err
	}
	if d.options.kills > 0 {
		if err := checkKills(d.options.kills, d.verdict.Kills); err != nil {
			return err
		}
	}
	closed := false
	d.emulator.ended = func(*os.ProcessState) { closed = true }
	d.emulator.line.send(command{Close: true})
	return d.until("the emulator closes", startTimeout, func() bool { return closed })
}

func (d *driver) undisturbed() bool {
	return d.serving && !slices.ContainsFunc(d.slots, func(s *slot) bool { return s.busy || s.filling != nil })
}

// The emulator may be ahead of the judge by these shares of a partition's retention. All those
// events may be in one partition.
const (
	holdShare   = 4
	resumeShare = 8
)

// pace holds up the producers when the judge is late.
func (d *driver) pace() {
	ahead := d.stored - int64(d.read)
	hold := ahead > int64(d.options.retention/holdShare) || d.holding && ahead > int64(d.options.retention/resumeShare)
	if hold == d.holding {
		return
	}
	d.holding = hold
	for c := range d.children {
		if c != d.emulator && c != d.judge {
			c.line.send(command{Go: !hold, Hold: hold})
		}
	}
}

func (d *driver) fromJudge(m *message) {
	if m.Read > 0 {
		d.read = m.Read
		d.pace()
	}
	if m.Verdict != nil {
		d.verdict, d.peak = m.Verdict, m.Peak
	}
}

func (d *driver) fromEmulator(m *message) {
	switch {
	case m.Stored != nil:
		d.stored = 0
		for _, n := range m.Stored {
			d.stored += n
		}
		d.pace()
	case m.Ends != nil:
		d.ends = m.Ends
	case m.Acted != nil:
		d.serviceActed(m.Acted)
	case m.Cut > 0:
		d.allCut(m.Cut)
	case m.Token != "":
		d.tokenRefused(m.Of, clientBehind, serverAhead)
	}
}

func (d *driver) fromProducer(s *slot, m *message) {
	switch {
	case m.Token != "":
		d.tokenRefused(m.Of, m.Token)
	case m.Accepted:
		s.accepted = true
	case m.Heard:
		s.heard = true
	case m.Full:
		d.full(s)
	}
}
