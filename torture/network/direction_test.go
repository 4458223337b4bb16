package network

import (
	"testing"
	"testing/synctest"
	"time"
)

// An arrival is a delivered packet: its number, and when it came.
type arrival struct {
	number int
	after  time.Duration
}

// pass sends packets of so many bytes, one each interval, and returns what arrives within a minute.
func pass(t *testing.T, s Settings, packets, size int, interval time.Duration) (arrived []arrival, c Counters) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		d := newDirection(1, 1, func(p packet) {
			arrived = append(arrived, arrival{int(p[0])<<8 | int(p[1]), time.Since(began)})
		})
		d.set(s)
		go d.run() // until close
		for i := range packets {
			p := make(packet, size)
			p[0], p[1] = byte(i>>8), byte(i)
			d.send(p)
			synctest.Wait()
			time.Sleep(interval)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		c = d.count()
		d.close()
		synctest.Wait()
	})
	if c.Packets != uint64(packets) || c.Bytes != uint64(packets*size) || c.Delivered != uint64(len(arrived)) {
		t.Errorf("counted %d packets, %d bytes, %d delivered; want %d, %d, %d", c.Packets, c.Bytes, c.Delivered, packets, packets*size, len(arrived))
	}
	return arrived, c
}

func TestWithoutFaultsPacketsPassInOrder(t *testing.T) {
	arrived, c := pass(t, Settings{}, 1000, 100, time.Millisecond)
	for i, a := range arrived {
		if a.number != i || a.after != time.Duration(i)*time.Millisecond {
			t.Fatalf("arrival %d is %v, want packet %d at once", i, a, i)
		}
	}
	if want := (Counters{Packets: 1000, Bytes: 100_000, Delivered: 1000}); c != want {
		t.Errorf("got %+v, want %+v", c, want)
	}
}

func TestLossDropsItsShare(t *testing.T) {
	arrived, c := pass(t, Settings{Loss: 0.1}, 20_000, 2, time.Microsecond)
	if c.Lost < 1800 || c.Lost > 2200 || len(arrived)+int(c.Lost) != 20_000 {
		t.Errorf("of 20,000 packets %d were lost and %d arrived, want about 2,000 lost", c.Lost, len(arrived))
	}
}

func TestDelayAndJitter(t *testing.T) {
	arrived, c := pass(t, Settings{Delay: 80 * time.Millisecond}, 10, 2, time.Millisecond)
	for i, a := range arrived {
		if want := 80*time.Millisecond + time.Duration(i)*time.Millisecond; a.after != want || a.number != i {
			t.Errorf("arrival %d is %v, want packet %d after %v", i, a, i, want)
		}
	}
	if c.Delayed != 10 || c.Overtaken != 0 {
		t.Errorf("%d delayed and %d overtaken, want 10 and 0", c.Delayed, c.Overtaken)
	}
	arrived, c = pass(t, Settings{Delay: 80 * time.Millisecond, Jitter: 40 * time.Millisecond}, 1000, 2, time.Millisecond)
	var least, most time.Duration = time.Hour, 0
	for _, a := range arrived {
		took := a.after - time.Duration(a.number)*time.Millisecond
		least, most = min(least, took), max(most, took)
	}
	if least < 40*time.Millisecond || least > 45*time.Millisecond || most > 120*time.Millisecond || most < 115*time.Millisecond {
		t.Errorf("packets took %v to %v, want 40 to 120 ms", least, most)
	}
	if len(arrived) != 1000 || c.Overtaken == 0 {
		t.Errorf("%d arrived, %d overtaken; want 1000, and more than 0", len(arrived), c.Overtaken)
	}
}

func TestReorderHoldsPacketsUp(t *testing.T) {
	arrived, c := pass(t, Settings{Reorder: 0.1, ReorderBy: 5 * time.Millisecond}, 1000, 2, time.Millisecond)
	if c.HeldUp < 70 || c.HeldUp > 130 || c.Overtaken == 0 || len(arrived) != 1000 {
		t.Errorf("%d held up, %d overtaken, %d arrived; want about 100, more than 0, and 1000", c.HeldUp, c.Overtaken, len(arrived))
	}
}

func TestDuplicatesArriveTwice(t *testing.T) {
	arrived, c := pass(t, Settings{Duplicate: 0.1}, 1000, 2, time.Millisecond)
	if c.Duplicated < 70 || c.Duplicated > 130 || len(arrived) != 1000+int(c.Duplicated) {
		t.Errorf("%d duplicated, %d arrived; want about 100, and both together", c.Duplicated, len(arrived))
	}
}

func TestRateAndItsQueue(t *testing.T) {
	arrived, c := pass(t, Settings{Rate: 1_000_000, Queue: 10_000}, 100, 1000, 0)
	if len(arrived) != 10 || c.Overflowed != 90 || c.Queued != 9 {
		t.Fatalf("of 100 packets at once %d arrived, %d overflowed, %d waited; want 10, 90 and 9", len(arrived), c.Overflowed, c.Queued)
	}
	for i, a := range arrived {
		if want := time.Duration(i+1) * time.Millisecond; a.after != want {
			t.Errorf("packet %d arrived after %v, want %v", i, a.after, want)
		}
	}
}

func TestBlackHoleAndMaxPacket(t *testing.T) {
	if arrived, c := pass(t, Settings{BlackHole: true}, 10, 2, 0); len(arrived) != 0 || c.BlackHoled != 10 {
		t.Errorf("%d arrived, %d in the black hole; want 0 and 10", len(arrived), c.BlackHoled)
	}
	if arrived, c := pass(t, Settings{MaxPacket: 1400}, 10, 1401, 0); len(arrived) != 0 || c.TooLarge != 10 {
		t.Errorf("%d of 1401 bytes arrived, %d too large; want 0 and 10", len(arrived), c.TooLarge)
	}
	if arrived, c := pass(t, Settings{MaxPacket: 1400}, 10, 1400, 0); len(arrived) != 10 || c.TooLarge != 0 {
		t.Errorf("%d of 1400 bytes arrived, %d too large; want 10 and 0", len(arrived), c.TooLarge)
	}
}

// TestSettingsChangeWhilePacketsWait: packets that wait keep their time, and later ones pass them.
func TestSettingsChangeWhilePacketsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var arrived []byte
		d := newDirection(1, 1, func(p packet) { arrived = append(arrived, p[0]) })
		go d.run() // until close
		d.set(Settings{Delay: time.Second})
		d.send(packet{1})
		d.set(Settings{})
		d.send(packet{2})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if string(arrived) != "\x02\x01" {
			t.Errorf("packets %v arrived, want 2, then 1", arrived)
		}
		d.close()
	})
}
