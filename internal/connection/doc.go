// Package connection is one AMQP connection to an Event Hubs namespace: everything between a
// partition's batch and the service. It uses internal/amqp in the client's role.
//
// A [Conn] connects when it is first needed. After a loss it connects again when it is next needed.
// In between only AMQP's keep-alive runs. A connection has the engine's two goroutines, one of ours
// that reports its end, and one each for $cbs and $management that reads replies. A sender's link
// has no goroutine; a receiver's has one that renews its token. The connection carries one link
// pair to $cbs, and one to $management when properties are read. Every [Sender] has its own session
// and sender link. The loss of a link does not affect the others.
//
// Each hub is authorized once per connection. If the service refuses that, each of its partitions
// is authorized ([grant]). A token is renewed before it expires while anything is sent. No send
// waits for a renewal while the old token is valid. For an idle connection only receivers renew. A
// partition that the service refuses under a token waits for a new token; the other partitions go
// on with the present one.
//
// Nothing here retries a batch. [Sender.Send] makes one try and returns its [Outcome]. An [Error]
// says why it failed and whether another try makes sense. The producer decides when and how often
// to retry. It also tries again at once when the link had ended before the try (Result.Stale). An
// opening that failed is tried again after againPause at the earliest, however many callers ask for
// it. Callers that wait for the same opening share one try. Within an opening, TCP is dialled again
// after tcpTimeout without an answer, unless the caller has a dialer of its own.
//
// A [Receiver] reads one partition, over its own session and link. It has a token of its own, as
// the service's clients have.
//
// A sender from [Conn.IdempotentSender] asks for an identity when it attaches. It never sends on a
// link whose identity its caller has not seen.
//
// # Calls end with their contexts
//
// Several callers may wait for the same connection, authorization or link. A goroutine of the
// connection opens it within openTimeout. Each caller waits as long as its own context lasts, and
// an opening that one caller began serves the next ([flight]).
//
// In the engine a batch waits for earlier batches on its link, for credit, for the session's
// window, and for the connection's writer. While it waits it can be taken back: a send whose
// context ends then is NotSent. After its first frame has left, it cannot be taken back. A send
// whose context ends then is Unknown, and its link is given up, since the service's answer may
// still come. If the peer does not answer the detach within closeTimeout, the connection is cut.
// The sender's next link waits for the answer or the cut. When the connection breaks, the engine
// knows of each batch whether the network has taken its first byte. If not, the batch is NotSent.
//
// # Round trips
//
// From TCP to the answer of the first batch there are six round trips:
//
//   - SASL
//   - open with begin
//   - both links of $cbs
//   - the token
//   - begin with attach
//   - the batch
//
// Replacing a lost link takes the last two. Frames that leave together are those that official
// clients send together; see docs/wire.md.
//
// # One session for each link
//
// Some servers end the whole session when they refuse a link or receive a frame late. So each
// sender has its own session. A session takes a channel, and the peer has channel-max plus one of
// them. A link beyond that number is refused here, with an error that names the limit.
package connection
