package amqp

// Format codes, 1.6 of the types part of the specification. The upper four bits give the width. 4
// is none, and 5 to 9 are one to sixteen bytes. The codes a and b are variable, with a length of
// one or four bytes. The codes c and d are compound, e and f array, each with a size of one or four
// bytes.
const (
	codeDescribed  = 0x00
	codeNull       = 0x40
	codeTrue       = 0x41
	codeFalse      = 0x42
	codeUint0      = 0x43
	codeUlong0     = 0x44
	codeList0      = 0x45
	codeUbyte      = 0x50
	codeByte       = 0x51
	codeSmallUint  = 0x52
	codeSmallUlong = 0x53
	codeSmallInt   = 0x54
	codeSmallLong  = 0x55
	codeBool       = 0x56
	codeUshort     = 0x60
	codeShort      = 0x61
	codeUint       = 0x70
	codeInt        = 0x71
	codeFloat      = 0x72
	codeChar       = 0x73
	codeDecimal32  = 0x74
	codeUlong      = 0x80
	codeLong       = 0x81
	codeDouble     = 0x82
	codeTimestamp  = 0x83
	codeDecimal64  = 0x84
	codeDecimal128 = 0x94
	codeUUID       = 0x98
	codeBinary8    = 0xa0
	codeString8    = 0xa1
	codeSymbol8    = 0xa3
	codeBinary32   = 0xb0
	codeString32   = 0xb1
	codeSymbol32   = 0xb3
	codeList8      = 0xc0
	codeMap8       = 0xc1
	codeList32     = 0xd0
	codeMap32      = 0xd1
	codeArray8     = 0xe0
	codeArray32    = 0xf0
)

// Descriptors of the specification's composite types and message sections.
const (
	descOpen        = 0x10
	descBegin       = 0x11
	descAttach      = 0x12
	descFlow        = 0x13
	descTransfer    = 0x14
	descDisposition = 0x15
	descDetach      = 0x16
	descEnd         = 0x17
	descClose       = 0x18
	descError       = 0x1d
	descReceived    = 0x23
	descAccepted    = 0x24
	descRejected    = 0x25
	descReleased    = 0x26
	descModified    = 0x27
	descSource      = 0x28
	descTarget      = 0x29
	descCoordinator = 0x30

	descSASLMechanisms = 0x40
	descSASLInit       = 0x41
	descSASLChallenge  = 0x42
	descSASLResponse   = 0x43
	descSASLOutcome    = 0x44

	// SectionHeader and its siblings are the descriptors of a message's sections (3.2).
	SectionHeader                = 0x70
	SectionDeliveryAnnotations   = 0x71
	SectionMessageAnnotations    = 0x72
	SectionProperties            = 0x73
	SectionApplicationProperties = 0x74
	SectionData                  = 0x75
	SectionSequence              = 0x76
	SectionValue                 = 0x77
	SectionFooter                = 0x78
)

// descriptorCode returns the numeric descriptor of a symbolic one, or zero.
//
// "Descriptor values other than symbolic (symbol) or numeric (ulong) are, while not syntactically
// invalid, reserved" (1.2.1). The specification gives each type one of both, and a peer may send
// either.
func descriptorCode(s Symbol) uint64 {
	switch s {
	case "amqp:open:list":
		return descOpen
	case "amqp:begin:list":
		return descBegin
	case "amqp:attach:list":
		return descAttach
	case "amqp:flow:list":
		return descFlow
	case "amqp:transfer:list":
		return descTransfer
	case "amqp:disposition:list":
		return descDisposition
	case "amqp:detach:list":
		return descDetach
	case "amqp:end:list":
		return descEnd
	case "amqp:close:list":
		return descClose
	case "amqp:error:list":
		return descError
	}
	return descriptorCodeOfContent(s)
}

// descriptorCodeOfContent is descriptorCode for everything except performatives.
func descriptorCodeOfContent(s Symbol) uint64 {
	switch s {
	case "amqp:received:list":
		return descReceived
	case "amqp:accepted:list":
		return descAccepted
	case "amqp:rejected:list":
		return descRejected
	case "amqp:released:list":
		return descReleased
	case "amqp:modified:list":
		return descModified
	case "amqp:source:list":
		return descSource
	case "amqp:target:list":
		return descTarget
	case "amqp:coordinator:list":
		return descCoordinator
	case "amqp:sasl-mechanisms:list":
		return descSASLMechanisms
	case "amqp:sasl-init:list":
		return descSASLInit
	case "amqp:sasl-challenge:list":
		return descSASLChallenge
	case "amqp:sasl-response:list":
		return descSASLResponse
	case "amqp:sasl-outcome:list":
		return descSASLOutcome
	case "amqp:header:list":
		return SectionHeader
	case "amqp:delivery-annotations:map":
		return SectionDeliveryAnnotations
	case "amqp:message-annotations:map":
		return SectionMessageAnnotations
	case "amqp:properties:list":
		return SectionProperties
	case "amqp:application-properties:map":
		return SectionApplicationProperties
	case "amqp:data:binary":
		return SectionData
	case "amqp:amqp-sequence:list":
		return SectionSequence
	case "amqp:amqp-value:*":
		return SectionValue
	case "amqp:footer:map":
		return SectionFooter
	}
	return 0
}
