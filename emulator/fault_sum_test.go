package emulator

import (
	"testing"
	"time"
)

// Of two actions, the first answer counts. Delays add up. The longer stall and the longer closure
// count, and every ignored detach and close.
func TestActionsAddUp(t *testing.T) {
	busy, cut := Reject(conditionServerBusy, "a"), Cut().Stored()
	for name, test := range map[string]struct{ a, b, want Action }{
		"the first answer":      {busy, cut, busy},
		"the only answer":       {Pass(), cut, cut},
		"delays":                {busy.After(time.Second), cut.After(2 * time.Second), busy.After(3 * time.Second)},
		"delays of answers":     {Pass().AnswerAfter(time.Second), Pass().AnswerAfter(time.Minute), Pass().AnswerAfter(61 * time.Second)},
		"the longer stall":      {Pass().StallReading(time.Second), busy.StallReading(time.Minute), busy.StallReading(time.Minute)},
		"a stall without end":   {busy.StallReading(0), Pass().StallReading(time.Minute), busy.StallReading(0)},
		"the longer closure":    {Pass().CloseWindow(time.Second), busy.CloseWindow(time.Minute), busy.CloseWindow(time.Minute)},
		"ignored ends":          {busy.IgnoreDetach(), cut.IgnoreClose(), busy.IgnoreDetach().IgnoreClose()},
		"credit held as asked":  {WithholdCredit(time.Second), Pass().AnswerAfter(time.Minute), WithholdCredit(time.Second)},
		"credit held by a hook": {Pass().AnswerAfter(time.Minute), WithholdCredit(time.Second), WithholdCredit(time.Second)},
		"a status":              {busy.WithStatus(403), cut, busy.WithStatus(403)},
	} {
		if got := test.a.with(test.b); got != test.want {
			t.Errorf("%s: got %+v, want %+v", name, got, test.want)
		}
	}
}
