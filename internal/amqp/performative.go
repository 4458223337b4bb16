package amqp

import "time"

// Role is which end of a link a peer is (2.8.1).
type Role bool

const (
	RoleSender   Role = false
	RoleReceiver Role = true
)

// String returns "sender" or "receiver".
func (r Role) String() string {
	if r == RoleReceiver {
		return "receiver"
	}
	return "sender"
}

// SenderSettleMode says whether a sender settles deliveries as it sends them (2.8.2).
type SenderSettleMode uint8

const (
	SenderUnsettled SenderSettleMode = iota
	SenderSettled
	SenderMixed // the default
)

// ReceiverSettleMode says whether a receiver settles first, or after the sender (2.8.3).
type ReceiverSettleMode uint8

const (
	ReceiverFirst ReceiverSettleMode = iota // the default
	ReceiverSecond
)

// Open begins a connection (2.7.1). Zero values are null.
type Open struct {
	ContainerID         string
	HostName            string
	MaxFrameSize        uint32 // null: 4294967295
	ChannelMax          *uint16
	IdleTimeout         time.Duration // wire: milliseconds
	OfferedCapabilities []Symbol
	DesiredCapabilities []Symbol
	Properties          Map
}

// Begin begins a session on a channel (2.7.2).
type Begin struct {
	RemoteChannel       *uint16 // set in the reply
	NextOutgoingID      uint32
	IncomingWindow      uint32
	OutgoingWindow      uint32
	HandleMax           *uint32 // null: 4294967295
	OfferedCapabilities []Symbol
	DesiredCapabilities []Symbol
	Properties          Map
}

// Attach attaches a link to a session (2.7.3). Zero values are null, except Handle and Role.
type Attach struct {
	Name                 string
	Handle               uint32
	Role                 Role
	SenderSettleMode     *SenderSettleMode
	ReceiverSettleMode   *ReceiverSettleMode
	Source               *Source
	Target               *Target
	Coordinator          bool // instead of a Target: the link is for transactions (4.2)
	Unsettled            Map
	IncompleteUnsettled  bool
	InitialDeliveryCount *uint32 // set by a sender
	MaxMessageSize       uint64  // bytes; zero or null: no limit
	OfferedCapabilities  []Symbol
	DesiredCapabilities  []Symbol
	Properties           Map
}

// Flow updates the flow state of a session and, with a handle, of a link (2.7.4).
type Flow struct {
	NextIncomingID Optional[uint32]
	IncomingWindow uint32
	NextOutgoingID uint32
	OutgoingWindow uint32
	Handle         Optional[uint32]
	DeliveryCount  Optional[uint32]
	LinkCredit     Optional[uint32]
	Available      Optional[uint32]
	Drain          bool
	Echo           bool
	Properties     Map
}

// Transfer carries a message or a part of one (2.7.5); its payload follows it in the frame.
type Transfer struct {
	Handle             uint32
	DeliveryID         Optional[uint32]
	DeliveryTag        []byte
	MessageFormat      Optional[uint32]
	Settled            Optional[bool]
	More               bool
	ReceiverSettleMode *ReceiverSettleMode
	State              DeliveryState
	Resume             bool
	Aborted            bool
	Batchable          bool
}

// Disposition states the state of a range of deliveries (2.7.6).
type Disposition struct {
	Role      Role
	First     uint32
	Last      Optional[uint32]
	Settled   bool
	State     DeliveryState
	Batchable bool
}

// Detach detaches a link (2.7.7).
type Detach struct {
	Handle uint32
	Closed bool
	Error  *Error
}

// End ends a session (2.7.8).
type End struct {
	Error *Error
}

// Close closes a connection (2.7.9).
type Close struct {
	Error *Error
}
