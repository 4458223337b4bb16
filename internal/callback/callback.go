// Package callback calls functions of the application. A function may end its goroutine
// (runtime.Goexit, as FailNow of a test does in a fake). Then it ends only a goroutine made for the
// call: the caller goes on, with an error that names the function.
//
// A panic is not caught: it ends the program, with the function's stack.
package callback

// An EndedError says that a function of the application ended its goroutine instead of returning.
type EndedError struct {
	Function string // for example "Options.Retry.Policy"
}

func (e *EndedError) Error() string {
	return e.Function + " ended its goroutine (runtime.Goexit, as FailNow of a test does) instead of returning"
}

// Call calls f and returns after f has ended. The error is nil if f returned, else an *EndedError.
//
// It costs about a microsecond: use it for functions that run once per batch, not once per event.
func Call(function string, f func()) error {
	returned, ended := false, make(chan struct{})
	// Ends with f.
	go func() {
		defer func() {
			if !returned {
				if reason := recover(); reason != nil {
					panic(reason) // before the caller goes on: nothing delays the end of the program
				}
			}
			close(ended)
		}()
		f()
		returned = true
	}()
	<-ended
	if !returned {
		return &EndedError{function}
	}
	return nil
}

// Result is Call for a function with a result. The value is zero if f did not return.
func Result[T any](function string, f func() (T, error)) (value T, err error) {
	if ended := Call(function, func() { value, err = f() }); ended != nil {
		return value, ended
	}
	return value, err
}
