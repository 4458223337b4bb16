package amqp

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// A producer reuses the memory of a message as soon as its sending has ended, in whatever way, and
// the engine no longer holds it. Every message that arrives whole must be one message, unchanged.
// Its pieces are of each kind: copied, written from where they are, and cut into several frames.
func TestTheMemoryOfASendThatHasEndedIsFree(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %v", secure), func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			client, server := overTCP(t, secure)
			var wg sync.WaitGroup
			defer wg.Wait()
			defer func() { client.Cut(); server.Cut() }()
			arrived := make(chan error, 1)
			wg.Go(func() { // ends with the connection
				for {
					l, err := server.AcceptLink(context.Background())
					if err != nil {
						return
					}
					_, _ = l.Accept(nil), l.Credit(3)
					wg.Go(func() { // ends with the link
						for {
							d, err := l.Receive(context.Background())
							if err != nil {
								return
							}
							if e := uniform(d.Payload); e != nil {
								select {
								case arrived <- e:
								default:
								}
							}
							_ = d.Settle(Accepted{})
						}
					})
				}
			})
			var senders sync.WaitGroup
			for i := range 4 {
				senders.Go(func() { // ends after its messages
					random := rand.New(rand.NewPCG(seed, uint64(i)))
					memory := [][]byte{make([]byte, 4000), make([]byte, MaxPiece), make([]byte, MaxPiece), make([]byte, 200_000)}
					var l *Link
					for n := range 50 {
						if l == nil {
							s, err := client.NewSession(context.Background())
							if err == nil {
								l, err = s.Attach(context.Background(), &Attach{Name: fmt.Sprint(i, n), Role: RoleSender, Source: &Source{}, Target: &Target{Address: "hub"}})
							}
							if err != nil {
								t.Error(err)
								return
							}
						}
						d := &Delivery{}
						for _, m := range memory {
							d.Frames = append(d.Frames, dataPiece(m[:FrameRoom+10+random.IntN(len(m)-FrameRoom-9)], byte(n)))
						}
						ctx, cancel := context.WithTimeout(context.Background(), time.Duration(random.IntN(2000))*time.Microsecond)
						if err := l.Queue(d); err != nil {
							t.Error(err)
						}
						if _, err := d.Wait(ctx); err != nil && d.Withdraw() == Leaving {
							s := l.Session()
							_ = l.Detach(nil)
							s.End(nil)
							l = nil
						}
						cancel()
						if held := d.Held(); held != nil {
							<-held
						}
						for _, m := range memory {
							fill(m, 0xEE)
						}
					}
				})
			}
			senders.Wait()
			select {
			case err := <-arrived:
				t.Error(err)
			default:
			}
		})
	}
}

// dataPiece fills memory with a piece that is a data section of v.
func dataPiece(memory []byte, v byte) []byte {
	data := memory[FrameRoom+8:]
	copy(memory[FrameRoom:], AppendSectionHeader(nil, SectionData))
	memory[FrameRoom+3] = codeBinary32
	be.PutUint32(memory[FrameRoom+4:], uint32(len(data)))
	fill(data, v)
	return memory
}

func fill(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}

// uniform says whether a message of data sections has the same byte everywhere.
func uniform(message []byte) error {
	m, err := ParseMessage(message)
	if err != nil {
		return err
	}
	all := bytes.Join(m.Data, nil)
	if len(all) > 0 && (bytes.Count(all, all[:1]) != len(all) || all[0] == 0xEE) {
		return fmt.Errorf("a message of %d bytes has bytes of another", len(message))
	}
	return nil
}

// sockets are both ends of a connection over loopback.
func sockets(t *testing.T) (ours, theirs net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if ours, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if theirs, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// overTCP connects two engines over a socket of loopback.
func overTCP(t *testing.T, secure bool) (client, server *Conn) {
	t.Helper()
	ours, theirs := sockets(t)
	if secure {
		s := httptest.NewTLSServer(nil)
		certificate := s.TLS.Certificates[0]
		s.Close()
		theirs = tls.Server(theirs, &tls.Config{Certificates: []tls.Certificate{certificate}})
		ours = tls.Client(ours, &tls.Config{InsecureSkipVerify: true})
	}
	return pairOver(t, ours, theirs, nil, &Config{MaxMessageSize: 1 << 20})
}
