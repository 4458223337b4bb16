package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/go-eventhubs/eventhubs/emulator"
)

// tokenLife is short, so that a producer needs a new token often.
const tokenLife = 8 * time.Second

const keyName, keyValue = "RootManageSharedAccessKey", "SAS_KEY_VALUE" // of every emulator: no secret

// keyConnectionString is for clients without TLS.
func keyConnectionString(address string) string {
	return "Endpoint=sb://" + address + ";SharedAccessKeyName=" + keyName + ";SharedAccessKey=" + keyValue + ";UseDevelopmentEmulator=true"
}

// A tokenSource makes the tokens of one producer: torture:<producer>:<end in Unix milliseconds>.
// Its clock may be wrong.
type tokenSource struct {
	producer int
	wrong    atomic.Int64 // nanoseconds
	none     atomic.Bool
	refused  func() // is called when there is none
}

var errNoToken = errors.New("the identity service does not answer")

func (s *tokenSource) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if s.none.Load() {
		s.refused()
		return azcore.AccessToken{}, errNoToken
	}
	now := time.Now() // the producer believes in its clock, so it sees a token that is good
	end := now.Add(time.Duration(s.wrong.Load()) + tokenLife)
	return azcore.AccessToken{Token: fmt.Sprintf("torture:%d:%d", s.producer, end.UnixMilli()), ExpiresOn: now.Add(tokenLife)}, nil
}

// A tokenCheck judges tokens for an emulator, whose clock may be wrong.
type tokenCheck struct {
	wrong   atomic.Int64 // nanoseconds
	refused func(producer int)
}

func (c *tokenCheck) judge(_ context.Context, token string) (emulator.Claims, error) {
	parts := strings.Split(token, ":")
	if len(parts) != 3 || parts[0] != "torture" {
		return emulator.Claims{}, errors.New("it is none of this run")
	}
	producer, err1 := strconv.Atoi(parts[1])
	end, err2 := strconv.ParseInt(parts[2], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return emulator.Claims{}, err
	}
	wrong := time.Duration(c.wrong.Load())
	expires := time.UnixMilli(end).Add(-wrong) // by the clock of the machine
	if !time.Now().Before(expires) {
		c.refused(producer)
	}
	return emulator.Claims{Rights: emulator.RightSend, Expires: expires}, nil
}
