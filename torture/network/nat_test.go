package network

import (
	"testing"
	"testing/synctest"
	"time"
)

// translate passes a packet of the client out, and returns the outer port; 0 if it does not pass.
func translate(t *testing.T, n *nat, flags byte) uint16 {
	t.Helper()
	p := newPacket(inner, server, flags, nil)
	if ok, _ := n.out(p); !ok {
		return 0
	}
	if p.source().Addr() != n.outer {
		t.Errorf("the packet comes from %v, want %v", p.source().Addr(), n.outer)
	}
	right(t, p)
	return p.source().Port()
}

// answered says whether a packet of the server to an outer port reaches the client.
func answered(t *testing.T, n *nat, port uint16) bool {
	t.Helper()
	p := newPacket(server, outer, flagACK, nil)
	p.setDestination(outer)
	p.tcp()[2], p.tcp()[3] = byte(port>>8), byte(port)
	p.writeChecksums()
	if !n.in(p) {
		return false
	}
	if p.destination() != inner {
		t.Errorf("the answer goes to %v, want %v", p.destination(), inner)
	}
	right(t, p)
	return true
}

func TestTranslationBothWays(t *testing.T) {
	n := newNAT(outer.Addr())
	if port := translate(t, n, flagACK); port != 0 {
		t.Error("a segment in the middle of an unknown connection passed")
	}
	port := translate(t, n, flagSYN)
	if port == 0 || translate(t, n, flagACK) != port || !answered(t, n, port) {
		t.Error("a connection does not pass by one mapping")
	}
	if answered(t, n, port+1) {
		t.Error("an answer to a port without a mapping passed")
	}
	if want := (NATCounters{Mapped: 1, Unmapped: 2}); n.count() != want {
		t.Errorf("got %+v, want %+v", n.count(), want)
	}
}

func TestIdleMappingsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNAT(outer.Addr())
		n.set(time.Minute, false)
		port := translate(t, n, flagSYN)
		time.Sleep(time.Minute)
		if translate(t, n, flagACK) != port {
			t.Error("a mapping was forgotten too early")
		}
		time.Sleep(40 * time.Second)
		if !answered(t, n, port) {
			t.Error("a mapping was forgotten too early for an answer")
		}
		time.Sleep(21 * time.Second) // the answer does not keep it
		if answered(t, n, port) || translate(t, n, flagACK) != 0 {
			t.Error("an idle mapping was not forgotten")
		}
		if again := translate(t, n, flagSYN); again == 0 || again == port {
			t.Errorf("a new connection got port %d, want another than %d", again, port)
		}
		if got := n.count(); got.Forgotten != 1 || got.Mapped != 2 {
			t.Errorf("got %+v, want 1 forgotten of 2", got)
		}
	})
}

func TestAForgottenConnectionIsResetIfAsked(t *testing.T) {
	n := newNAT(outer.Addr())
	translate(t, n, flagSYN)
	if dropped := n.forgetAll(); dropped != 1 {
		t.Errorf("%d mappings were dropped, want 1", dropped)
	}
	if _, answer := n.out(newPacket(inner, server, flagACK, nil)); answer != nil {
		t.Error("a silent translation answered")
	}
	n.set(0, true)
	_, answer := n.out(newPacket(inner, server, flagACK, nil))
	if answer == nil || answer.flags() != flagRST || answer.destination() != inner {
		t.Errorf("got the answer %v, want an RST to the client", answer)
	}
	if _, answer := n.out(newPacket(inner, server, flagRST, nil)); answer != nil {
		t.Error("an RST was answered")
	}
}

// TestPortsAreUsedAgain has more connections than there are ports.
func TestPortsAreUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNAT(outer.Addr())
		const ports = 1<<16 - firstPort
		for i := range ports + 10 {
			if i == ports {
				if translatedFrom(n, i) {
					t.Error("a port was used again at once")
				}
				time.Sleep(portRest)
			}
			if !translatedFrom(n, i) {
				t.Fatalf("connection %d got no port", i)
			}
		}
		if len(n.inward) != ports || len(n.outward) != ports {
			t.Errorf("there are %d mappings inward and %d outward, want %d", len(n.inward), len(n.outward), ports)
		}
	})
}

func translatedFrom(n *nat, connection int) bool {
	p := newPacket(inner, server, flagSYN, nil)
	p[14], p.tcp()[0], p.tcp()[1] = byte(connection>>16), byte(connection>>8), byte(connection)
	ok, _ := n.out(p)
	return ok
}
