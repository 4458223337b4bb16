package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/sas"
)

const (
	entraScope = "https://eventhubs.azure.net//.default"

	// checkBody is the test event of --send.
	checkBody = `{"eventhubs":"check"}`

	// The largest messages of the service's tiers.
	basicMessageBytes    = 256 << 10
	standardMessageBytes = 1022 << 10
)

// A proof is the token of the step token. As a source of tokens it always returns this one.
type proof struct {
	token connection.Token
}

func (p *proof) Token(context.Context, string) (connection.Token, error) { return p.token, nil }

func (c *checkup) token(ctx context.Context) finding {
	if c.options.namespace != "" {
		return c.identityToken(ctx)
	}
	now, delivered := c.process.now(), &c.options.delivered
	if signature := delivered.Signature(); signature != "" {
		parsed, err := sas.Parse(signature)
		if err != nil {
			return finding{err: err}
		}
		c.proof.token = connection.NewToken("servicebus.windows.net:sastoken", signature, parsed.Expires)
		if !now.Before(parsed.Expires) {
			return finding{err: fmt.Errorf("the signature by the key %q has expired at %s", parsed.KeyName, parsed.Expires.Format(time.RFC3339))}
		}
		return finding{detail: fmt.Sprintf("a signature by the key %q for %s, good until %s", parsed.KeyName, parsed.Resource, parsed.Expires.Format(time.RFC3339))}
	}
	name, expires := delivered.KeyName, now.Add(connection.KeyTokenLifetime)
	text := sas.Sign(c.url("amqp", "/"+c.hub), name, delivered.Key(), expires)
	c.proof.token = connection.NewToken("servicebus.windows.net:sastoken", text, expires)
	return finding{detail: fmt.Sprintf("signed with the key %q", name)}
}

// identityToken asks the Azure identity for a token.
func (c *checkup) identityToken(ctx context.Context) finding {
	token, err := c.options.credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{entraScope}})
	if err != nil {
		return finding{err: err}
	}
	c.proof.token = connection.NewToken("jwt", token.Token, token.ExpiresOn)
	return finding{detail: fmt.Sprintf("of %s, good until %s", subjectOf(token.Token), token.ExpiresOn.UTC().Format(time.RFC3339))}
}

// subjectOf returns the identity that a JWT names, so that the user can give it a role. It verifies
// nothing. The name is no secret.
func subjectOf(jwt string) string {
	var claims struct {
		UPN      string `json:"upn"`
		AppID    string `json:"appid"`
		ObjectID string `json:"oid"`
	}
	if parts := strings.Split(jwt, "."); len(parts) == 3 {
		payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
		// A token may have any form; then the claims stay empty.
		_ = json.Unmarshal(payload, &claims)
	}
	switch {
	case claims.UPN != "":
		return fmt.Sprintf("the user %q (object %s)", claims.UPN, claims.ObjectID)
	case claims.AppID != "":
		return fmt.Sprintf("the application %q (object %s)", claims.AppID, claims.ObjectID)
	default:
		return "an identity that the token does not name"
	}
}

func (c *checkup) cbs(ctx context.Context) finding {
	err := c.conn.Authorize(ctx, c.hub)
	if e, ok := errors.AsType[*connection.Error](err); ok {
		c.date.fromRefusal(e.Description, c.process.now())
	}
	return finding{err: err, detail: "accepted"}
}

func (c *checkup) management(ctx context.Context) finding {
	properties, err := c.conn.HubProperties(ctx, c.hub)
	if err != nil {
		return finding{err: err}
	}
	c.partitions = properties.PartitionIDs
	for _, id := range c.options.partitions {
		if !slices.Contains(properties.PartitionIDs, id) {
			return finding{err: noPartition(c.hub, id, properties.PartitionIDs), remedy: "give one of these with --partition, or leave it out"}
		}
	}
	if len(c.options.partitions) > 0 {
		c.partitions = c.options.partitions
	}
	return finding{detail: fmt.Sprintf("%d partitions, made %s", len(properties.PartitionIDs), properties.CreatedOn.UTC().Format(time.DateOnly))}
}

func (c *checkup) link(ctx context.Context) finding {
	for _, id := range c.partitions {
		c.senders = append(c.senders, c.conn.Sender(c.hub, id, "eventhubs-check"))
	}
	failed := c.ofEach(func(i int) error { return c.senders[i].Open(ctx) })
	return c.found(failed, "open for sending")
}

// listen opens a link for reading to each partition. It reads nothing.
func (c *checkup) listen(ctx context.Context) finding {
	if !c.options.listen {
		return finding{status: statusSkipped, detail: "--listen opens links for reading"}
	}
	failed := c.ofEach(func(i int) error {
		source := connection.Source{Hub: c.hub, ConsumerGroup: c.options.group, PartitionID: c.partitions[i], Selector: "amqp.annotation.x-opt-offset > '@latest'"}
		r, err := c.conn.Receiver(ctx, source)
		if err == nil {
			r.Close()
		}
		return err
	})
	f := c.found(failed, "open for reading in the group "+c.options.group)
	if e, ok := errors.AsType[*connection.Error](f.err); ok && e.Code == connection.CodeNotFound {
		f.remedy = fmt.Sprintf("there is no consumer group %q: check --group", c.options.group)
	}
	return f
}

// ofEach asks something of all partitions at the same time, and returns the error of each.
func (c *checkup) ofEach(ask func(i int) error) []error {
	errs := make([]error, len(c.partitions))
	var asking sync.WaitGroup
	for i := range c.partitions {
		asking.Go(func() { errs[i] = ask(i) }) // ends with the step's time at the latest
	}
	asking.Wait()
	return errs
}

// found returns the finding of a question to all partitions. It names those that failed, if not all
// have, and the first error.
func (c *checkup) found(errs []error, is string) finding {
	var first error
	var ids []string
	late := 0
	for i, err := range errs {
		if err == nil {
			continue
		}
		if first == nil {
			first = err
		}
		if errors.Is(err, context.DeadlineExceeded) {
			late++
		}
		ids = append(ids, c.partitions[i])
	}
	those := "partition " + strings.Join(ids, ", ")
	if len(ids) > 1 {
		those = "partitions " + strings.Join(ids, ", ")
	}
	switch {
	case first == nil && len(errs) == 1:
		return finding{detail: "partition " + c.partitions[0] + " is " + is}
	case first == nil:
		return finding{detail: fmt.Sprintf("all %d partitions are %s", len(errs), is)}
	case len(ids) == len(errs):
		return finding{err: first}
	case late == len(ids):
		return finding{err: first, place: those, remedy: "the other partitions answer: events for " + those +
			" wait or fail; try again, and if it lasts, give the hub and the partition to Azure support"}
	}
	return finding{err: first, place: those}
}

func (c *checkup) size(context.Context) finding {
	n := c.senders[0].MaxMessageSize()
	switch {
	case n == 0:
		return finding{status: statusWarning, detail: "the service names no limit", remedy: "Event Hubs does: check that it is the namespace, and not another broker"}
	case n < basicMessageBytes:
		return finding{status: statusWarning, detail: fmt.Sprintf("a batch may have %d bytes", n),
			remedy: "that is less than on any tier of Event Hubs, 262144; larger events will fail"}
	case n < standardMessageBytes:
		return finding{detail: fmt.Sprintf("a batch may have %d bytes, as on the Basic tier", n)}
	}
	return finding{detail: fmt.Sprintf("a batch may have %d bytes", n)}
}

func (c *checkup) idempotence(ctx context.Context) finding {
	sender := c.conn.IdempotentSender(c.hub, c.partitions[0], "eventhubs-check")
	defer sender.Close(ctx)
	err := sender.Open(ctx)
	if e, ok := errors.AsType[*connection.Error](err); ok && e.Code == connection.CodeNotSupported {
		return finding{status: statusWarning, detail: "not offered", remedy: "leave EnableIdempotentRetries off for this hub"}
	}
	return finding{err: err, detail: "offered"}
}

func (c *checkup) send(ctx context.Context) finding {
	if !c.options.send {
		return finding{status: statusSkipped, detail: "--send stores a test event"}
	}
	failed := c.ofEach(func(i int) error { return c.senders[i].Send(ctx, connection.BatchOf(dataMessage(checkBody))).Err })
	f := c.found(failed, "")
	if e, ok := errors.AsType[*connection.Error](f.err); ok && e.Code == connection.CodeTooLarge {
		f.remedy = fmt.Sprintf("the server refuses %d bytes: no tier of Event Hubs does; check that it is the namespace, and what is between here and there", len(dataMessage(checkBody)))
	}
	if f.err != nil {
		return f
	}
	now := c.process.now()
	// The answer matters only for the clock.
	if properties, err := c.conn.PartitionProperties(ctx, c.hub, c.partitions[0]); err == nil {
		c.date.fromEvent(properties.LastEnqueuedOn, now)
	}
	if len(c.partitions) == 1 {
		return finding{detail: fmt.Sprintf("%s is stored in partition %s", checkBody, c.partitions[0])}
	}
	return finding{detail: fmt.Sprintf("%s is stored in each of %d partitions", checkBody, len(c.partitions))}
}
