package emulator

import "context"

// Kinds of tokens, as a put-token request names them.
const (
	tokenSAS  = "servicebus.windows.net:sastoken"
	tokenJWT  = "jwt"
	tokenJWT2 = "amqp:jwt"
	tokenSWT  = "amqp:swt"
)

// A claim is the content of a put-token request. Its token is never stored.
type claim struct {
	kind     string
	audience string
	target   address // the parsed audience
	token    string
}

// prepareCBS reads a put-token request. Without authentication every request for an existing entity
// succeeds.
func (a *attach) prepareCBS(ctx context.Context, r *request) (Operation, func() response) {
	claim, refused := parseClaim(r)
	op := Operation{
		Kind:          KindPutToken,
		Connection:    a.connection.number,
		Address:       claim.audience,
		PartitionID:   claim.target.partition,
		ConsumerGroup: claim.target.group,
	}
	h := a.connection.server.hub(claim.target.hub)
	if h != nil {
		op.Hub = h.name
	}
	return op, func() response {
		if refused == nil && h == nil && claim.target.hub != "" {
			refused = a.notFound(claim.target.hub)
		}
		if refused == nil {
			refused = a.connection.guard.put(ctx, claim)
		}
		return response{refusal: refused}
	}
}

// parseClaim reads a put-token request. It ignores the properties expiration (a timestamp, a string
// of seconds, or absent) and server-timeout, as the service does: the token contains its expiry.
func parseClaim(r *request) (claim, *refusal) {
	c := claim{kind: r.text("type"), audience: r.text("name")}
	c.target = parseAudience(c.audience)
	token, isText := r.body.(string)
	c.token = token
	operation := r.text("operation")
	switch {
	case operation == "":
		return c, missing(nodeCBS, "operation")
	case operation != "put-token":
		return c, refuse(conditionNotImplemented, "The operation '%s' is not supported by '%s'.", operation, nodeCBS)
	case c.audience == "":
		return c, missing(nodeCBS, "name")
	case c.kind == "":
		return c, missing(nodeCBS, "type")
	case c.kind != tokenSAS && c.kind != tokenJWT && c.kind != tokenJWT2 && c.kind != tokenSWT:
		return c, refuse(conditionArgument, "The token type '%s' is not supported.", c.kind)
	case !isText || c.token == "":
		return c, refuse(conditionArgument, "The body of a put-token request must be the token: an amqp-value that is a string.")
	}
	return c, nil
}
