package main

import "fmt"

// A sent batch is one that was accepted in the end.
type sent struct {
	content
	unknown int // how many tries before that ended with an unknown outcome
}

// judge wants what arrived to be what was sent, in order. A batch may be there once more for each try whose outcome
// was unknown, right behind the first.
func judge(want []sent, got []content) error {
	rest := got
	for i, s := range want {
		times := 0
		for len(rest) > 0 && rest[0] == s.content {
			rest = rest[1:]
			times++
		}
		switch {
		case times == 0 && len(rest) == 0:
			return fmt.Errorf("%d of %d batches arrived; the next one is: %v", i, len(want), s.content)
		case times == 0:
			return fmt.Errorf("instead of batch %d of %d, %v, there arrived %v", i, len(want), s.content, rest[0])
		case times > 1+s.unknown:
			return fmt.Errorf("batch %d arrived %d times; the outcome of %d tries was unknown", i, times, s.unknown)
		}
	}
	if len(rest) > 0 {
		return fmt.Errorf("after %d batches there arrived another: %v", len(want), rest[0])
	}
	return nil
}
