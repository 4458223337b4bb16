package amqp

import (
	"testing"
	"testing/synctest"
	"time"
)

// held returns a peer whose deliveries have filled the engine's buffers: the application receives
// none.
func held(t *testing.T) (p *peer, c *Conn, l *Link) {
	t.Helper()
	p, c = newPeer(t, &Config{MaxBuffered: 1000, IdleTimeout: -1}, nil)
	p.begin(0)
	l = p.attach(c, 0, Attach{Role: RoleSender}, nil)
	_ = l.Credit(100)
	want[*Flow](p, 0)
	p.send(0, transfer(0, 0), make([]byte, 2000))
	synctest.Wait()
	return p, c, l
}

func TestAReaderThatIsHeldUpNoticesTheEndOfTheSocket(t *testing.T) {
	for pending, most := range map[int]time.Duration{
		0: 0,
		1: 2 * heldBeat, // unread input hides the end; a write reveals it
		9: 2 * heldBeat,
	} {
		bubble(t, func(t *testing.T) {
			p, c, _ := held(t)
			for i := range pending {
				p.send(0, transfer(0, uint32(i+1)), make([]byte, 2000))
			}
			time.Sleep(time.Hour) // nothing happens to a peer that is present
			if err := c.Err(); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			_ = p.nc.Close()
			<-c.Done()
			if got := time.Since(start); got > most {
				t.Errorf("with %d deliveries behind, the end was noticed after %v, want at most %v", pending, got, most)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.buffered != 0 {
				t.Errorf("%d bytes are held for a peer that is gone", c.buffered)
			}
		})
	}
}

// The deliveries may wait for a credit that comes after them.
func TestAReaderThatIsHeldUpStillTakesWhatTakesNoRoom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c, l := held(t)
		replies := p.attach(c, 1, Attach{Role: RoleReceiver}, nil)
		p.send(0, &Flow{NextIncomingID: Some[uint32](1), IncomingWindow: 9, Handle: Some[uint32](1), LinkCredit: Some[uint32](1)}, nil)
		if err := replies.Send(try(t), &Delivery{Settled: true}); err != nil {
			t.Fatal("a reply:", err)
		}
		want[*Transfer](p, 0)
		p.send(0, transfer(0, 1), []byte("x"))
		p.send(0, &Close{}, nil)
		p.wantIdle("a delivery waits for room, and what is behind it")
		for range 2 {
			if _, err := l.Receive(try(t)); err != nil {
				t.Fatal(err)
			}
		}
		want[*Close](p, 0)
	})
}
