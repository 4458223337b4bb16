package amqp

import (
	"crypto/rand"
	"log/slog"
	"math"
	"time"
)

// Config configures a connection. Nil and zero values mean the defaults. A Config must not be
// modified while it is in use.
type Config struct {
	ContainerID    string        // default: random
	HostName       string        // the peer's, sent in a client's open and SASL init; default: none
	MaxFrameSize   uint32        // bytes, of frames in both directions; default 65536, at least 512
	ChannelMax     uint16        // highest channel number, one less than the number of sessions; default 4999
	IdleTimeout    time.Duration // stated in open; a peer that is silent for twice as long is closed; default 4 minutes, negative: none
	WriteTimeout   time.Duration // of one Write, after which the connection is cut; default 30 s, negative: none
	WholeWrites    bool          // a failed Write may have sent all of its bytes, whatever count it returned: for a net.Conn that is a protocol itself
	Properties     Map           // of open
	SessionWindow  uint32        // transfer frames that a session accepts before it renews the window; default 5000
	HandleMax      uint32        // highest handle in a session, one less than the number of links; default 255
	MaxMessageSize uint64        // bytes, for links whose attach does not state it; default 1 MiB
	LinkBacklog    int           // links attached by the peer and not yet accepted; more are refused; default 256; negative: the peer may attach none, which ends their session
	MaxPartial     int           // bytes of deliveries without their last frame, over all links; a link that exceeds it is detached; default 128 MiB
	MaxBuffered    int           // bytes of whole deliveries not yet received by the application, over all links; beyond it the reader stops at the next transfer; default 256 MiB
	Logger         *slog.Logger  // default: none

	// Mechanisms are the SASL mechanisms that a server offers. Default: MSSBCBS, PLAIN, ANONYMOUS,
	// EXTERNAL.
	Mechanisms []Symbol

	// Authenticate, if set, decides on a server whether to accept a client's SASL init. Default:
	// accept all.
	Authenticate func(*SASLInit) bool

	// BeforeStart, if set, is called after the handshake, before the connection reads anything
	// else.
	BeforeStart func(*Conn)

	// Mechanism and InitialResponse are sent by a client before the server's offer. Default:
	// ANONYMOUS, with the text "anonymous".
	Mechanism       Symbol
	InitialResponse []byte
}

// minMaxFrameSize is the specification's MIN-MAX-FRAME-SIZE (2.8.19).
const minMaxFrameSize = 512

// withDefaults returns a copy of c with the defaults filled in.
func (c *Config) withDefaults() Config {
	var cfg Config
	if c != nil {
		cfg = *c
	}
	def(&cfg.ContainerID, rand.Text)
	def(&cfg.MaxFrameSize, value[uint32](65536))
	cfg.MaxFrameSize = max(cfg.MaxFrameSize, minMaxFrameSize)
	def(&cfg.ChannelMax, value[uint16](4999))
	def(&cfg.IdleTimeout, value(4*time.Minute))
	cfg.IdleTimeout = min(max(cfg.IdleTimeout, 0), math.MaxUint32*time.Millisecond)
	def(&cfg.WriteTimeout, value(30*time.Second))
	def(&cfg.SessionWindow, value[uint32](5000))
	def(&cfg.HandleMax, value[uint32](255))
	def(&cfg.MaxMessageSize, value[uint64](1<<20))
	def(&cfg.LinkBacklog, value(256))
	def(&cfg.MaxPartial, value(128<<20))
	def(&cfg.MaxBuffered, value(256<<20))
	def(&cfg.Logger, value(slog.New(slog.DiscardHandler)))
	if cfg.Mechanisms == nil {
		cfg.Mechanisms = []Symbol{"MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL"}
	}
	return cfg
}

// def sets *p to what f returns if it is zero.
func def[T comparable](p *T, f func() T) {
	var zero T
	if *p == zero {
		*p = f()
	}
}

func value[T any](v T) func() T { return func() T { return v } }
