package main

import "fmt"

// A sent is a batch that was finally accepted.
type sent struct {
	content
	unknown int // earlier tries with an unknown outcome
}

// judge wants the arrivals to be the sent batches, in order. A batch may be repeated directly after
// the first, once for each try with an unknown outcome.
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
			return fmt.Errorf("instead of batch %d of %d, %v, this arrived: %v", i, len(want), s.content, rest[0])
		case times > 1+s.unknown:
			return fmt.Errorf("batch %d arrived %d times; the outcome of %d tries was unknown", i, times, s.unknown)
		}
	}
	if len(rest) > 0 {
		return fmt.Errorf("after %d batches another one arrived: %v", len(want), rest[0])
	}
	return nil
}
