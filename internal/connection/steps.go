package connection

import "context"

// Connect opens the connection unless it is open. It waits as long as ctx lasts; the dial goes on
// without its caller. Its errors are *Error.
func (c *Conn) Connect(ctx context.Context) error {
	_, err := c.connect(ctx)
	return err
}

// Authorize puts a token for a hub, unless a valid one has been put on the present connection. It
// connects if necessary. Its errors are *Error.
func (c *Conn) Authorize(ctx context.Context, hub string) error {
	cl, err := c.connect(ctx)
	if err != nil {
		return err
	}
	_, err = cl.authorize(ctx, hub, "")
	return err
}
