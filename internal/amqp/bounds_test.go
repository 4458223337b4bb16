package amqp

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-eventhubs/eventhubs/internal/memnet"
)

// A condition is an error's most important part, but a condition of hundreds of bytes does not fit
// into a frame of 512.
func TestAConditionThatDoesNotFitIsToldAsTheDescriptionOfAnother(t *testing.T) {
	e := &Error{Condition: Symbol("com.example:" + strings.Repeat("c", 900)), Description: "why"}
	bubble(t, func(t *testing.T) {
		client, server := pair(t, &Config{MaxFrameSize: 512}, nil)
		_ = server.Close(e)
		synctest.Wait()
		<-client.Done()
		got := client.Err().Error()
		if want := "amqp:internal-error: com.example:ccc"; !strings.Contains(got, want) || !strings.HasSuffix(got, "c…") {
			t.Errorf("the client hears %q, want %s…", got, want)
		}
	})
}

func TestADescriptionIsUTF8WhateverItQuotes(t *testing.T) {
	b, err := (&Error{Condition: "x:y", Description: "no hub \xff\xfe"}).appendTo(nil)
	if err != nil || !bytes.Contains(b, []byte("no hub \uFFFD")) || bytes.Contains(b, []byte{0xff}) {
		t.Errorf("encoded as %q, %v", b, err)
	}
}

// A peer that has detached waits for the answering detach, which needs an attach before it.
func TestAPeerThatGaveUpALinkWhoseNameDoesNotFitIsToldSo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, _ := newPeer(t, nil, &Open{ContainerID: "peer", MaxFrameSize: 512})
		p.begin(0)
		p.send(0, &Attach{Name: strings.Repeat("n", 1000), Role: RoleSender, InitialDeliveryCount: new(uint32), Target: &Target{}}, nil)
		p.send(0, &Detach{Closed: true}, nil)
		p.wantError("end", want[*End](p, 0).Error, ErrorFrameSizeTooSmall)
	})
}

// A receiver that sends larger frames than it takes still gets its settlement.
func TestALongStateIsSettledInAShortFrame(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, nil, &Open{ContainerID: "peer", MaxFrameSize: 512})
		p.begin(0)
		l := p.attach(c, 0, Attach{Role: RoleReceiver}, nil)
		p.send(0, &Flow{NextIncomingID: Some[uint32](1), IncomingWindow: 9, Handle: Some[uint32](0), LinkCredit: Some[uint32](1)}, nil)
		if err := l.Send(try(t), &Delivery{Payload: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		want[*Transfer](p, 0)
		long := Rejected{&Error{Condition: "x:y", Description: strings.Repeat("z", 2000)}}
		p.send(0, &Disposition{Role: RoleReceiver, First: 0, State: long}, nil)
		if d := want[*Disposition](p, 0); !d.Settled || d.First != 0 || d.Role != RoleSender {
			t.Errorf("the answer is %+v, want a settlement", d)
		}
	})
}

// A delivery whose outcome cannot be sent can be settled with another one.
func TestAnOutcomeThatCannotBeToldDoesNotSettle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := pair(t, &Config{MaxFrameSize: 512}, nil)
		sender, receiver := linked(t, client, server, nil)
		_ = receiver.Credit(1)
		d := &Delivery{}
		if err := sender.Send(try(t), d); err != nil {
			t.Fatal(err)
		}
		got, err := receiver.Receive(try(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := got.Settle(Modified{Annotations: Map{{Symbol("x-opt-long"), strings.Repeat("z", 600)}}}); err == nil {
			t.Error("an outcome of 600 bytes is told in a frame of 512")
		}
		if err := got.Settle(Released{}); err != nil {
			t.Error(err)
		}
		if state, err := d.Wait(try(t)); state != (Released{}) {
			t.Errorf("the sender hears %v, %v; want released", state, err)
		}
	})
}

// densest is an attach of size bytes whose decoded form takes the most memory.
func densest(name string, handle uint32, size int) *Attach {
	a := &Attach{Name: name, Handle: handle, Role: RoleSender, InitialDeliveryCount: new(uint32), Target: &Target{Address: "hub"}}
	nulls := make(List, 0, size)
	for len(nulls) < size-200 {
		nulls = append(nulls, List{})
	}
	a.Properties = Map{{Symbol("k"), nulls}}
	return a
}

func TestAnAttachThatSaysTooMuchIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, nil, nil)
		p.begin(0)
		for handle, size := range []int{60_000, 17_000} {
			p.send(0, densest("long", uint32(handle), size), nil)
			if a := want[*Attach](p, 0); a.Source != nil || a.Target != nil || a.Name != "long" {
				t.Errorf("the answer to an attach of %d bytes is %+v, want a refusal", size, a)
			}
			p.wantError("detach", want[*Detach](p, 0).Error, ErrorResourceLimit)
		}
		p.attach(c, 2, *densest("", 0, 15_000), nil)
	})
	bubble(t, func(t *testing.T) { // an answer to our attach likewise
		client, server := pair(t, nil, nil)
		s, err := client.NewSession(try(t))
		if err != nil {
			t.Fatal(err)
		}
		go func() { // ends with the answer, for which Attach waits
			if l, err := server.AcceptLink(try(t)); err == nil {
				_ = l.Accept(densest("", 0, 60_000))
			}
		}()
		if _, err := s.Attach(try(t), &Attach{Name: "link", Role: RoleSender, Target: &Target{}}); err == nil || !strings.Contains(err.Error(), "more than the maximum of 16384") {
			t.Errorf("Attach returned %v, want the maximum of an attach", err)
		}
	})
}

func TestWhatAttachesSayIsNotKept(t *testing.T) {
	const links = 200
	for _, end := range []string{"accepted", "refused", "detached"} {
		bubble(t, func(t *testing.T) {
			p, c := newPeer(t, &Config{HandleMax: links}, nil)
			p.begin(0)
			long := densest("", 0, 15_000)
			before := heap()
			for handle := range uint32(links) {
				long.Name, long.Handle = fmt.Sprint(handle, strings.Repeat("n", 1000)), handle
				p.send(0, long, nil)
				l, err := c.AcceptLink(try(t))
				if err != nil {
					t.Fatal(err)
				}
				switch end {
				case "accepted":
					_ = l.Accept(&Attach{Properties: Map{}})
				case "refused":
					_ = l.Refuse(errorf(ErrorNotFound, "no hub"))
				case "detached":
					_ = l.Accept(&Attach{Properties: Map{}})
					_ = l.Detach(nil)
				}
				want[*Attach](p, 0)
				if end != "accepted" {
					want[*Detach](p, 0) // which the peer leaves unanswered
				}
			}
			each := (int64(heap()) - int64(before)) / links
			t.Logf("%s: %d bytes a link", end, each)
			if limit := int64(6 << 10); each > limit { // of which 2 KB are the name, twice
				t.Errorf("%d bytes are kept of each link that is %s, want at most %d", each, end, limit)
			}
			runtime.KeepAlive(c)
		})
	}
}

func TestAttachesThatNobodyAnswersAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const links = 300 // of 15,000 bytes each: more than 4 MiB
		p, c := newPeer(t, &Config{HandleMax: links, LinkBacklog: links}, nil)
		p.begin(0)
		refused := 0
		for handle := range uint32(links) {
			p.send(0, densest(fmt.Sprint(handle), handle, 15_000), nil)
		}
		synctest.Wait()
		c.mu.Lock()
		waiting, held := len(c.backlog), c.unanswered
		c.mu.Unlock()
		for range links - waiting {
			want[*Attach](p, 0)
			p.wantError("detach", want[*Detach](p, 0).Error, ErrorResourceLimit)
			refused++
		}
		if refused == 0 || held > maxUnanswered || waiting < 270 {
			t.Errorf("%d are refused, %d wait with %d bytes; want at most %d bytes to wait", refused, waiting, held, maxUnanswered)
		}
		for range waiting {
			l, err := c.AcceptLink(try(t))
			if err != nil {
				t.Fatal(err)
			}
			_ = l.Refuse(errorf(ErrorNotFound, "no hub"))
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.unanswered != 0 {
			t.Errorf("%d bytes are counted when all are answered", c.unanswered)
		}
	})
}

func TestAnOpenThatSaysTooMuchIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		say := func(properties Map) error {
			a, b := memnet.Pipe()
			open, err := appendFrame(headerAMQP[:], frameAMQP, 0, &Open{ContainerID: "peer", Properties: properties})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := a.Write(open); err != nil { // there is room for it in the pipe
				t.Fatal(err)
			}
			c, err := Server(try(t), b, nil)
			if err == nil {
				c.Cut()
				<-c.Done()
			}
			_ = a.Close()
			return err
		}
		if err := say(densest("", 0, 15_000).Properties); err != nil {
			t.Errorf("an open of 15,000 bytes: %v", err)
		}
		if err := say(densest("", 0, 17_000).Properties); err == nil || !strings.Contains(err.Error(), "an open of 16847 bytes") {
			t.Errorf("an open of 17,000 bytes: %v, want it named", err)
		}
	})
}

// TestADeliveryTagMayBeALittleLongerThanTheProtocolAllows has the tag of the legacy Java client: a
// UUID in hexadecimal and the number of the retry.
func TestADeliveryTagMayBeALittleLongerThanTheProtocolAllows(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, nil, nil)
		p.begin(0)
		l := p.attach(c, 0, Attach{Role: RoleSender}, nil)
		_ = l.Credit(1)
		want[*Flow](p, 0)
		tagged := transfer(0, 0)
		tagged.DeliveryTag = []byte("7722629f06714b8086ce3549c96be843_0")
		p.send(0, tagged, []byte("x"))
		if d, err := l.Receive(try(t)); err != nil || string(d.Tag) != string(tagged.DeliveryTag) {
			t.Errorf("received %+v, %v, want the tag %s", d, err, tagged.DeliveryTag)
		}
	})
}

func TestADeliveryTagFarBeyondTheProtocolsBoundIsRefused(t *testing.T) {
	for _, more := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			p, c := newPeer(t, nil, nil)
			p.begin(0)
			l := p.attach(c, 0, Attach{Role: RoleSender}, nil)
			_ = l.Credit(3)
			want[*Flow](p, 0)
			good := transfer(0, 0)
			good.DeliveryTag = make([]byte, maxTagTaken)
			p.send(0, good, []byte("x"))
			if d, err := l.Receive(try(t)); err != nil || len(d.Tag) != maxTagTaken {
				t.Fatalf("with a tag of %d bytes: %v", maxTagTaken, err)
			}
			long := transfer(0, 1)
			long.DeliveryTag, long.More = make([]byte, maxTagTaken+1), more
			p.send(0, long, []byte("x"))
			p.wantError("detach", want[*Detach](p, 0).Error, ErrorInvalidField)
			if _, err := l.Receive(try(t)); err == nil {
				t.Error("the delivery is received")
			}
		})
	}
}

// The overhead of a payload takes memory too, even while the rest of the payload has not come.
func TestUnfinishedDeliveriesCountWithWhatIsAroundThem(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const links = 20
		p, c := newPeer(t, &Config{MaxPartial: 10 * deliveryOverhead}, nil)
		p.begin(0)
		for handle := range uint32(links) {
			l := p.attach(c, handle, Attach{Role: RoleSender}, nil)
			_ = l.Credit(1)
			want[*Flow](p, 0)
		}
		for handle := range uint32(11) {
			begun := transfer(handle, handle)
			begun.More = true
			p.send(0, begun, nil)
		}
		p.wantError("detach", want[*Detach](p, 0).Error, ErrorResourceLimit)
	})
}

// heap is the memory in use after a collection.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
