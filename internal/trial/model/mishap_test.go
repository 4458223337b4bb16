package model

import (
	"math/rand/v2"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// mishap returns a random fault for an operation that may fail. severity is a percentage of the
// transfers. A prompt service stores a batch at once or never.
func mishap(op emulator.Operation, random *rand.Rand, severity int, prompt bool) emulator.Action {
	long := time.Duration(random.IntN(30_000)) * time.Millisecond
	switch op.Kind {
	case emulator.KindTransfer:
		if random.IntN(100) < severity {
			return badTransfer(random, long, prompt)
		}
		return emulator.Pass().AnswerAfter(time.Duration(random.IntN(20)) * time.Millisecond)
	case emulator.KindAttach:
		if random.IntN(200) < severity {
			return badAttach(random, long)
		}
	default:
		if random.IntN(1000) < severity {
			return emulator.Cut()
		}
	}
	return emulator.Pass()
}

// badTransfer returns a fault that does not contradict its own answer: a released or rejected batch
// is not stored.
func badTransfer(random *rand.Rand, long time.Duration, prompt bool) emulator.Action {
	switch random.IntN(18) {
	case 0:
		return emulator.Cut()
	case 1, 2:
		return emulator.Cut().Stored()
	case 3:
		return emulator.Silence()
	case 4, 5:
		return emulator.Silence().Stored()
	case 6:
		return emulator.Detach("amqp:link:detach-forced", "moved")
	case 7:
		return emulator.Detach("amqp:link:detach-forced", "moved").Stored()
	case 8:
		return emulator.CloseConnection("amqp:connection:forced", "upgrade").Stored()
	case 9:
		return emulator.Release()
	case 10:
		return emulator.Modify()
	case 11:
		return emulator.Reject("com.microsoft:server-busy", "busy")
	case 12:
		return emulator.Reject("amqp:not-allowed", "never")
	case 13:
		return emulator.Reject("amqp:internal-error", "oops")
	case 14:
		return emulator.Pass().AnswerAfter(long)
	case 15:
		if prompt {
			return emulator.Pass().AnswerAfter(long)
		}
		// The server itself is late: the client may have given up.
		return emulator.Pass().After(long)
	case 16:
		return emulator.Pass().CloseWindow(long)
	default:
		return emulator.Silence().Stored().IgnoreDetach()
	}
}

func badAttach(random *rand.Rand, long time.Duration) emulator.Action {
	switch random.IntN(9) {
	case 0:
		return emulator.Cut()
	case 1:
		// The service knows the producer's new identity, and the producer does not know that.
		return emulator.Cut().Stored()
	case 2:
		return emulator.Silence()
	case 3:
		return emulator.Silence().Stored()
	case 4:
		return emulator.Reject("com.microsoft:server-busy", "busy")
	case 5:
		return emulator.Reject("amqp:internal-error", "oops")
	case 6:
		return emulator.Detach("amqp:link:detach-forced", "moved")
	case 7:
		return emulator.WithholdCredit(long)
	default:
		return emulator.Pass().After(long)
	}
}
