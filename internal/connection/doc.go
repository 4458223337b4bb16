// Package connection is one AMQP connection to an Event Hubs namespace: all that
// stands between a partition's batch and the service. Below the command
// line, which reads messages with its types, it is the only package of this module that
// imports go-amqp.
//
// A [Conn] connects when it is first needed and again after a loss, when it is
// next needed. Nothing runs in between but AMQP's keep-alive: two goroutines of
// go-amqp's for the connection and two for each link, and one of ours that tells of
// the connection's end. Over the connection go one link pair to $cbs, one to
// $management when properties are read, and a session and a sender link of its own
// for every [Sender]. The loss of a link leaves the others alone.
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
// # How go-amqp is kept from harm
//
// go-amqp v1.7.0 looks at a context only until it has been handed a message, may
// stop in the middle of one, and turns a context's deadline into a write deadline
// whose passing ends the whole connection. So whatever opens something (a
// connection, an authorization, a link) runs in a goroutine of its own that no
// caller's context reaches: callers wait for it, each as long as their own
// context lasts ([flight]). And a send gets a context of our own making
// ([attempt]) that can end the wait for credit and nothing else; if the caller's
// context ends later, the link is given up, and if the peer does not answer that
// within closeTimeout, the connection. Messages wait for their turn on a link here,
// since in go-amqp they would wait for a mutex, and those of several frames leave a
// connection one after the other, for which the context is where they wait.
//
// Each link has a session of its own, because go-amqp ends the whole session of a
// late outcome; and since it closes a connection whose channels are used up, they
// are counted here ([client]).
package connection
