package main

import (
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// faultFlags defines the flags for faults and for the size of messages.
func (opts *emulatorOptions) faultFlags(flags *flag.FlagSet) {
	flags.IntVar(&opts.server.MaxMessageSize, "max-message-size", emulator.StandardMessageSize, "")
	flags.Func("fault", "", func(text string) error {
		rule, err := emulator.ParseFaultRule(text)
		opts.server.Faults = append(opts.server.Faults, rule)
		return err
	})
}

// checkMessageSize refuses sizes that the emulator cannot take. The package has more values, which
// are for tests of clients.
func (opts *emulatorOptions) checkMessageSize() error {
	const least, most = 1024, 256 << 20
	if n := opts.server.MaxMessageSize; n < least || n > most {
		return badInput("--max-message-size is %d; it counts bytes and must be from %d to %d", n, least, most)
	}
	return nil
}

// nameFault rewrites an error about a rule of the options, so that it names the flag. Another error
// stays.
func (opts *emulatorOptions) nameFault(err error) error {
	wrong, ok := errors.AsType[*emulator.FaultRuleError](err)
	if !ok {
		return err
	}
	for i, rule := range opts.server.Faults {
		if strings.Contains(err.Error(), "Options.Faults["+strconv.Itoa(i)+"]") {
			return badInput("--fault is %q; %w", rule, wrong)
		}
	}
	return err
}

// describeFaults writes the faults to standard error, with the seeds that repeat them.
func describeFaults(p *process, server *emulator.Server) {
	for _, f := range server.Faults() {
		fmt.Fprintf(p.stderr, "Fault %d: %s\n", f.ID, f.Rule)
	}
}
