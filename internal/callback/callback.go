// Package callback calls functions that the application has given. One that ends the goroutine that it is called on (runtime.Goexit, as FailNow of a test does in
// a fake) ends a goroutine made for the call: what would have run after it still runs, with an error that names the function.
//
// A panic is not caught: it ends the program, with the stack of the function.
package callback

// An EndedError says that a function of the application's has ended its goroutine instead of returning.
type EndedError struct {
	Function string // such as "Options.Retry.Policy"
}

func (e *EndedError) Error() string {
	return e.Function + " ended its goroutine (runtime.Goexit, as FailNow of a test does) instead of returning"
}

// Call calls f and returns when it has ended. The error is nil if f has returned, else an *EndedError.
//
// It costs about a microsecond: call what runs once for each batch by it, and not what runs once for each event.
func Call(function string, f func()) error {
	returned, ended := false, make(chan struct{})
	// Ends with f.
	go func() {
		defer func() {
			if !returned {
				if reason := recover(); reason != nil {
					panic(reason) // before anybody goes on: nothing holds up the end of the program
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

// Result is Call for a function with a result. The value is the zero one if f has not returned.
func Result[T any](function string, f func() (T, error)) (value T, err error) {
	if ended := Call(function, func() { value, err = f() }); ended != nil {
		return value, ended
	}
	return value, err
}
