package main

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// disturbProcess makes a fault of a process: it is the only one there.
func (d *driver) disturbProcess(k *kind, s *slot, lasts time.Duration) {
	f := d.log.ask(k, s, lasts)
	if s != nil {
		s.busy = true
	} else {
		d.serving = false
	}
	var err error
	switch k.name {
	case killProducer, killJournal:
		s.child.ended = func(state *os.ProcessState) { d.replaceProducer(f, killed(state), state) }
		err = s.child.signal(syscall.SIGKILL)
	case restartProducer:
		s.child.ended = func(state *os.ProcessState) { d.replaceProducer(f, state.Success(), state) }
		s.child.line.send(command{Close: true})
	case stopProducer:
		err = d.stop(f, s.child, func() { s.busy = false })
	case takeOver:
		err = d.takeOver(f)
	case killService:
		d.emulator.ended = func(state *os.ProcessState) { d.replaceEmulator(f, killed(state), state) }
		err = d.emulator.signal(syscall.SIGKILL)
	case restartService, forget:
		d.emulator.ended = func(state *os.ProcessState) { d.replaceEmulator(f, state.Success(), state) }
		d.emulator.line.send(command{Close: true})
	case stopService:
		err = d.stop(f, d.emulator, func() { d.serving = true })
	}
	if err != nil {
		d.fail(fmt.Errorf("%s: %w", k.name, err))
	}
}

// replaceProducer starts the next life of a producer that has ended.
func (d *driver) replaceProducer(f *fault, ok bool, state *os.ProcessState) {
	now := time.Now()
	if !ok {
		d.fail(fmt.Errorf("producer %d ended with %v", f.Producer, state))
		return
	}
	pid := state.Pid()
	err := d.startProducer(f.slot, func() {
		d.log.act(f, now, fmt.Sprintf("process %d is now %d", pid, f.slot.child.command.Process.Pid))
		d.log.end(f, now)
		f.slot.busy = false
	})
	if err != nil {
		d.fail(err)
	}
}

// replaceEmulator starts an emulator again, a moment after it has ended.
func (d *driver) replaceEmulator(f *fault, ok bool, state *os.ProcessState) {
	if !ok {
		d.fail(fmt.Errorf("the emulator ended with %v", state))
		return
	}
	ended := time.Now()
	d.disarmed()
	d.later(f.lasts, func() {
		err := d.startEmulator(f.Forgets, func(r *ready) {
			now := time.Now()
			switch {
			case !f.Forgets:
				d.log.act(f, ended, fmt.Sprintf("process %d is now %d", state.Pid(), d.emulator.command.Process.Pid))
			case r.Forgotten > 0:
				d.log.act(f, ended, fmt.Sprintf("%d producers of partitions are forgotten", r.Forgotten))
			}
			d.log.end(f, now)
			d.serving = true
		})
		if err != nil {
			d.fail(err)
		}
	})
}

// stop stops a process and lets it go on.
func (d *driver) stop(f *fault, c *child, then func()) error {
	if err := c.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	stopped := time.Now()
	d.later(min(f.lasts, 50*time.Millisecond), func() {
		if c.stopped() {
			d.log.act(f, stopped, fmt.Sprintf("process %d stood still", c.command.Process.Pid))
		}
	})
	d.later(f.lasts, func() {
		if err := c.signal(syscall.SIGCONT); err != nil {
			d.fail(err)
		}
		d.log.end(f, time.Now())
		then()
	})
	return nil
}

// takeOver starts the next life of an idempotent producer while the former one lives. The former
// one is closed later.
func (d *driver) takeOver(f *fault) error {
	former := f.slot.child
	former.ended = func(state *os.ProcessState) {
		if !state.Success() {
			d.fail(fmt.Errorf("producer %d, whose identity was stolen, ended with %v", f.Producer, state))
		}
		f.slot.busy = false
	}
	return d.startProducer(f.slot, func() {
		now := time.Now()
		d.log.act(f, now, fmt.Sprintf("process %d is what process %d still is", f.slot.child.command.Process.Pid, former.command.Process.Pid))
		d.log.end(f, now)
		d.later(f.lasts, func() { former.line.send(command{Close: true}) })
	})
}
