package amqp

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/memnet"
)

func TestPausedReadingFillsTheNetworkAndGoesOnWhenResumed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, nil, nil)
		p.begin(0)
		l := p.attach(c, 0, Attach{Role: RoleSender}, nil)
		_ = l.Credit(100)
		want[*Flow](p, 0)
		first, second := c.PauseReading(), c.PauseReading()

		_ = p.nc.SetWriteDeadline(time.Now().Add(time.Minute))
		n := 0
		for ; n < 100; n++ {
			b, mark := beginFrame(nil, frameAMQP, 0)
			b, _ = transfer(0, uint32(n)).appendTo(b)
			if _, err := p.nc.Write(endFrame(append(b, make([]byte, 10_000)...), mark)); err != nil {
				break
			}
		}
		if most := (memnet.BufferSize + 128<<10) / 10_000; n > most || n < 10 {
			t.Fatalf("%d deliveries went out, want at most %d", n, most)
		}
		first()
		first() // has no effect the second time
		synctest.Wait()
		l.s.c.mu.Lock()
		queued := len(l.receiver.queue)
		l.s.c.mu.Unlock()
		if queued != 0 {
			t.Errorf("%d deliveries arrived while reading was paused", queued)
		}
		second()
		for i := range n {
			if _, err := l.Receive(try(t)); err != nil {
				t.Fatalf("delivery %d of %d: %v", i, n, err)
			}
		}
	})
}

func TestAPausedConnectionCanBeClosed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := pair(t, nil, nil)
		s, err := client.NewSession(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		server.PauseReading()
		if _, err := s.Attach(try(t), &Attach{Name: "l", Role: RoleSender, Target: &Target{}}); err == nil {
			t.Error("a paused connection answered")
		}
		start := time.Now()
		_ = server.Close(nil)
		if got := time.Since(start); got != 0 {
			t.Errorf("Close took %v", got)
		}
		<-client.Done()
	})
}

func TestAClosedWindowTakesWhatIsUnderWayAndNoMore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, &Config{SessionWindow: 10}, nil)
		p.begin(0)
		l := p.attach(c, 0, Attach{Role: RoleSender}, nil)
		_ = l.Credit(100)
		want[*Flow](p, 0)
		first := l.Session().CloseWindow()
		if f := want[*Flow](p, 0); f.IncomingWindow != 0 {
			t.Errorf("the window is %d, want 0", f.IncomingWindow)
		}
		second := l.Session().CloseWindow()
		for i := range 10 {
			p.send(0, transfer(0, uint32(i)), []byte("x"))
		}
		p.wantIdle("the window is closed")
		first()
		first() // has no effect the second time
		p.wantIdle("the window is closed twice")
		second()
		if f := want[*Flow](p, 0); f.IncomingWindow != 10 {
			t.Errorf("the window is %d, want 10", f.IncomingWindow)
		}
		p.send(0, transfer(0, 10), []byte("x"))
		for range 11 {
			if _, err := l.Receive(try(t)); err != nil {
				t.Fatal(err)
			}
		}
		l.Session().CloseWindow()
		want[*Flow](p, 0)
		for i := range 10 {
			p.send(0, transfer(0, uint32(11+i)), []byte("x"))
		}
		p.wantError("end", want[*End](p, 0).Error, ErrorWindowViolation)
	})
}

func TestASenderWaitsWhileTheWindowIsClosed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := pair(t, nil, nil)
		sender, receiver := linked(t, client, server, nil)
		exchange(t, sender, receiver, []byte("before"))
		open := receiver.Session().CloseWindow()
		synctest.Wait()
		time.AfterFunc(time.Hour, open)
		start := time.Now()
		if err := sender.Send(t.Context(), &Delivery{Payload: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		if got := time.Since(start); got != time.Hour {
			t.Errorf("sent after %v, want an hour", got)
		}
	})
}

func TestAnIgnoredDetachIsNotAnswered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, nil, nil)
		p.begin(0)
		l := p.attach(c, 0, Attach{Role: RoleSender}, nil)
		l.IgnoreDetach()
		p.send(0, &Detach{Handle: 0, Closed: true}, nil)
		p.wantIdle("the detach is ignored")
		if err := l.Err(); !errors.Is(err, ErrDetached) {
			t.Errorf("Err is %v, want ErrDetached", err)
		}
		p.attach(c, 1, Attach{Role: RoleSender}, nil) // other links still work
		p.send(0, &End{}, nil)
		want[*End](p, 0)
	})
}

func TestAnIgnoredCloseIsNotAnswered(t *testing.T) {
	for _, end := range []struct {
		name string
		by   func(*peer, *Conn)
	}{
		{"the peer gives up", func(p *peer, _ *Conn) { _ = p.nc.Close() }},
		{"Close", func(_ *peer, c *Conn) { _ = c.Close(nil) }},
		{"Cut", func(_ *peer, c *Conn) { c.Cut() }},
	} {
		t.Run(end.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p, c := newPeer(t, nil, nil)
				p.begin(0)
				l := p.attach(c, 0, Attach{Role: RoleSender}, nil)
				c.IgnoreClose()
				p.send(0, &Close{}, nil)
				p.wantIdle("the close is ignored")
				<-l.Done()
				select {
				case <-c.Done():
					t.Error("the connection is over")
				case <-time.After(time.Hour):
				}
				start := time.Now()
				end.by(p, c)
				<-c.Done()
				if got := time.Since(start); got != 0 {
					t.Errorf("it took %v", got)
				}
			})
		})
	}
}

func TestIgnoringCloseConcernsOnlyThePeersClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := pair(t, nil, nil)
		server.IgnoreClose()
		start := time.Now()
		_ = server.Close(nil)
		<-client.Done()
		if got := time.Since(start); got != 0 {
			t.Errorf("Close took %v", got)
		}
	})
}

func TestUnfinishedDeliveriesAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, &Config{MaxPartial: 100_000}, nil)
		p.begin(0)
		var links []*Link
		for i := range 4 {
			l := p.attach(c, uint32(i), Attach{Role: RoleSender}, nil)
			_ = l.Credit(5)
			want[*Flow](p, 0)
			links = append(links, l)
			first := transfer(uint32(i), uint32(i))
			first.More = true
			p.send(0, first, make([]byte, 30_000))
		}
		// Three fit, whatever overhead the slices have; the fourth does not.
		if d := want[*Detach](p, 0); d.Handle != 3 {
			t.Errorf("handle %d is detached, want 3", d.Handle)
		} else {
			p.wantError("detach", d.Error, ErrorResourceLimit)
		}
		for i, l := range links[:3] {
			p.send(0, &Transfer{Handle: uint32(i)}, []byte("end"))
			if d, err := l.Receive(try(t)); err != nil || len(d.Payload) != 30_003 {
				t.Errorf("link %d: %v", i, err)
			}
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.partial != 0 || c.buffered != 0 {
			t.Errorf("%d and %d bytes are still counted", c.partial, c.buffered)
		}
	})
}

// receiving are the ways to receive. Each returns how many deliveries have come.
var receiving = map[string]func(context.Context, *Link) (int, error){
	"one": func(ctx context.Context, l *Link) (int, error) {
		_, err := l.Receive(ctx)
		return 1, err
	},
	"all": func(ctx context.Context, l *Link) (int, error) {
		all, err := l.ReceiveAll(ctx, nil)
		return len(all), err
	},
}

// eachWay runs a test in a bubble for each way to receive.
func eachWay(t *testing.T, test func(t *testing.T, receive func(context.Context, *Link) (int, error))) {
	t.Helper()
	for name, receive := range receiving {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) { test(t, receive) })
		})
	}
}

func TestDeliveriesNobodyReceivesHoldUpTheReader(t *testing.T) {
	eachWay(t, func(t *testing.T, receive func(context.Context, *Link) (int, error)) {
		p, c := newPeer(t, &Config{MaxBuffered: 100_000}, nil)
		p.begin(0)
		l := p.attach(c, 0, Attach{Role: RoleSender}, nil)
		_ = l.Credit(1000)
		want[*Flow](p, 0)
		_ = p.nc.SetWriteDeadline(time.Now().Add(time.Minute))
		n, pending := 0, []byte(nil)
		for ; n < 200; n++ {
			b, mark := beginFrame(nil, frameAMQP, 0)
			b, _ = transfer(0, uint32(n)).appendTo(b)
			b = endFrame(append(b, make([]byte, 10_000)...), mark)
			if m, err := p.nc.Write(b); err != nil {
				pending = b[m:]
				break
			}
		}
		c.mu.Lock()
		buffered, queued := c.buffered, len(l.receiver.queue)
		c.mu.Unlock()
		if buffered > 111_000 || queued > 11 || len(pending) == 0 {
			t.Errorf("%d bytes in %d deliveries are buffered, want about 100,000", buffered, queued)
		}
		_ = p.nc.SetWriteDeadline(time.Time{})
		done := make(chan struct{})
		go func() { // ends when the rest is written; awaited below
			defer close(done)
			p.write(pending)
		}()
		for received := 0; received < n+1; {
			more, err := receive(try(t), l)
			if err != nil {
				t.Fatalf("delivery %d: %v", received, err)
			}
			received += more
		}
		<-done
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.buffered != 0 {
			t.Errorf("%d bytes are still counted", c.buffered)
		}
	})
}

func TestDeliveriesOfADeadLinkDoNotHoldUpTheReader(t *testing.T) {
	eachWay(t, func(t *testing.T, receive func(context.Context, *Link) (int, error)) {
		p, c := newPeer(t, &Config{MaxBuffered: 5_000}, nil)
		p.begin(0)
		l := p.attach(c, 0, Attach{Role: RoleSender}, nil)
		_ = l.Credit(10)
		want[*Flow](p, 0)
		p.send(0, transfer(0, 0), make([]byte, 10_000))
		synctest.Wait()
		_ = l.Detach(nil)
		want[*Detach](p, 0)
		p.send(0, &Detach{Handle: 0, Closed: true}, nil)
		p.attach(c, 0, Attach{Role: RoleSender}, nil)
		if n, err := receive(try(t), l); err != nil || n != 1 {
			t.Errorf("of what came before the detach %d are received: %v", n, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.buffered != 0 {
			t.Errorf("%d bytes are still counted", c.buffered)
		}
	})
}
