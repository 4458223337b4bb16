// Package connection is one AMQP connection to an Event Hubs namespace: all that
// stands between a partition's batch and the service. It stands on internal/amqp, in
// the client's role.
//
// A [Conn] connects when it is first needed and again after a loss, when it is
// next needed. Nothing runs in between but AMQP's keep-alive: the engine's two
// goroutines for the connection, one of ours that tells of its end, and one for each of
// $cbs and $management that reads its replies. A link has none. Over the connection go
// one link pair to $cbs, one to $management when properties are read, and a session and a
// sender link of its own for every [Sender]. The loss of a link leaves the others alone.
//
// Each hub is authorized once per connection or, if the service refuses that, each
// of its partitions ([grant]). A token is renewed before its end while anything is
// sent, and no send waits for that as long as the old one is good; nothing is
// renewed for an idle connection. A partition that the service refuses under a token
// waits for another; those that it does not refuse go on with the one that there is.
//
// Nothing here retries. [Sender.Send] makes one try and says what became of it
// ([Outcome]), and an [Error] says why and whether another try makes sense; when,
// and how often, is the producer's affair. What has failed to open is not tried
// again sooner than againPause, however many ask for it; a try that many wait for is
// one try.
//
// A sender that [Conn.IdempotentSender] makes asks for an identity when it attaches,
// and never sends on a link whose identity its caller has not seen.
//
// # Calls end with their contexts
//
// What several may wait for (a connection, an authorization, a link) is opened by a
// goroutine of the connection's, within openTimeout: callers wait for it, each as long as
// their own context lasts, and what one has begun serves the next ([flight]).
//
// A batch waits in the engine, for the ones before it on its link, for credit, for the
// session's window, and for the connection's writer. As long as it waits it can be taken
// back: a send whose context ends then is NotSent. From its first frame on it is
// out of our hands. A send whose context ends then is Unknown, and its link is given
// up, since nobody knows what the service still says to it; if the peer does not answer
// that within closeTimeout, it loses the connection, and the sender's next link waits for
// one or the other. When the connection breaks, the engine knows of each batch whether
// the network has taken its first byte: if not, it is NotSent.
//
// # Round trips
//
// From TCP to the answer of the first batch there are six: SASL, open with begin, both links
// of $cbs, the token, begin with attach, the batch. A link that was lost takes the last two.
// What leaves together is what official clients send together; see docs/wire.md.
//
// # One session for each link
//
// There are servers that end the whole session of a link that they refuse, or of a frame
// that comes late. So each sender has a session of its own. A session takes a channel, of
// which the peer has channel-max and one more: a link beyond them is refused here, with
// an error that names the limit.
package connection
