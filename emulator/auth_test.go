package emulator_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/go-amqp"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/sas"
)

// authenticated runs a test with virtual time against a server that verifies tokens, with hubs
// "events", "other" and "event".
func authenticated(t *testing.T, auth emulator.Authentication, test func(*testing.T, *emulator.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(t, emulatortest.New(t, &emulator.Options{
			Addr:           emulator.InMemory,
			Hubs:           []emulator.Hub{{Name: "events"}, {Name: "other"}, {Name: "event"}},
			Authentication: &auth,
			Idle:           neverIdle,
		}))
	})
}

const (
	memoryURL = "sb://emulator-in-memory.invalid"
	rootName  = "RootManageSharedAccessKey"
	rootKey   = "SAS_KEY_VALUE"
)

// put puts a token on a new pair of links and checks the answer.
func put(t *testing.T, session *amqp.Session, kind, audience, token string, status int32, text, condition string) {
	t.Helper()
	request := putToken(audience)
	request.ApplicationProperties["type"] = kind
	request.Value = token
	cbs := openNode(t, session, "$cbs", "me")
	checkStatus(t, cbs.call(t, request), status, text, condition)
	_ = cbs.sender.Close(t.Context())
	_ = cbs.receiver.Close(t.Context())
}

const (
	kindSAS = "servicebus.windows.net:sastoken"
	kindJWT = "jwt"
)

func TestSignaturesAreVerified(t *testing.T) {
	keys := []emulator.Key{
		{Name: "sender", Value: "c2VuZGVy", Rights: emulator.RightSend},
		{Name: "others", Value: "b3RoZXJz", Rights: emulator.RightManage, Hub: "other"},
	}
	authenticated(t, emulator.Authentication{Keys: keys}, func(t *testing.T, server *emulator.Server) {
		session := mustSession(t, server)
		hour, events := time.Now().Add(time.Hour), memoryURL+"/events"
		literal := sas.Sign(events, rootName, rootKey, hour)
		for _, test := range []struct {
			name, audience, token string
			status                int32
			text                  string // empty: it is valid
		}{
			{"of the namespace's key", events, literal, 202, ""},
			{"of a key with fewer rights", events, sas.Sign(events, "sender", "c2VuZGVy", hour), 202, ""},
			{"for the namespace", events + "/Partitions/0", sas.Sign(memoryURL, rootName, rootKey, hour), 202, ""},
			{"in other letters and another scheme", "amqps://EMULATOR-in-memory.invalid/EVENTS/$management", literal, 202, ""},
			{"of a hub's key", memoryURL + "/other", sas.Sign(memoryURL+"/other", "others", "b3RoZXJz", hour), 202, ""},
			{"of another hub's key", events, sas.Sign(memoryURL, "others", "b3RoZXJz", hour), 401, "InvalidAudience: "},
			{"of another secret", events, sas.Sign(events, rootName, "guess", hour), 401, "InvalidSignature: The token has an invalid signature."},
			{"of an unknown key", events, sas.Sign(events, "nobody", rootKey, hour), 401, "InvalidSignature: The token has an invalid signature."},
			{"of a key in other letters", events, sas.Sign(events, strings.ToUpper(rootName), rootKey, hour), 401, "InvalidSignature: "},
			{"with its text changed", events, strings.Replace(literal, "%2fevents", "%2Fevents", 1), 401, "InvalidSignature: "},
			{"expired", events, sas.Sign(events, rootName, rootKey, time.Now()), 401, "ExpiredToken: The token is expired. Expiration time: '2000-01-01T00:00:00Z', current time: '2000-01-01T00:00:00Z'."},
			{"for another hub", events, sas.Sign(memoryURL+"/other", rootName, rootKey, hour), 401, "InvalidAudience: "},
			{"for a hub whose name begins so", memoryURL + "/events", sas.Sign(memoryURL+"/event", rootName, rootKey, hour), 401, "InvalidAudience: "},
			{"for another host", events, sas.Sign("sb://elsewhere/events", rootName, rootKey, hour), 401, "InvalidAudience: "},
			{"without parts", events, "SharedAccessSignature sr=x", 401, "MalformedToken: "},
			{"of another kind", events, "password", 401, "MalformedToken: "},
			{"for an unknown hub", memoryURL + "/nosuch", sas.Sign(memoryURL, rootName, rootKey, hour), 404, "could not be found"},
		} {
			t.Log(test.name)
			condition := map[int32]string{401: "com.microsoft:auth-failed", 404: "amqp:not-found"}[test.status]
			put(t, session, kindSAS, test.audience, test.token, test.status, test.text, condition)
		}
	})
}

func TestWithoutAuthenticationAnyTokenWillDo(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, server *emulator.Server) {
		session := mustSession(t, server)
		put(t, session, kindSAS, memoryURL+"/events", "rubbish", 202, "Accepted", "")
		put(t, session, kindJWT, memoryURL+"/events", "rubbish", 202, "Accepted", "")
	})
}

func TestRightsDecideWhatIsAttached(t *testing.T) {
	const receiver, sender = "events/ConsumerGroups/$Default/Partitions/0", "events/Partitions/0"
	for _, test := range []struct {
		name           string
		rights         emulator.Rights
		audience       string
		sends, listens bool
		manages        bool
	}{
		{"nothing", 0, "", false, false, false},
		{"send", emulator.RightSend, "/events", true, false, true},
		{"listen", emulator.RightListen, "/events", false, true, true},
		{"both", emulator.RightSend | emulator.RightListen, "/events", true, true, true},
		{"manage", emulator.RightManage, "/events", true, true, true},
		{"the namespace", emulator.RightManage, "", true, true, true},
		{"the partition", emulator.RightManage, "/EVENTS/partitions/0", true, false, false},
		{"another partition", emulator.RightManage, "/events/Partitions/1", false, false, false},
		{"management", emulator.RightManage, "/events/$management", false, false, true},
		{"another hub", emulator.RightManage, "/other", false, false, false},
		{"a hub whose name begins so", emulator.RightManage, "/event", false, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			authenticated(t, emulator.Authentication{}, func(t *testing.T, server *emulator.Server) {
				session := mustSession(t, server)
				if test.rights != 0 {
					put(t, session, kindSAS, memoryURL+test.audience, server.SharedAccessSignature("", time.Hour, test.rights), 202, "Accepted", "")
				}
				_, err := session.NewSender(t.Context(), sender, nil)
				wantClaim(t, err, test.sends, "Unauthorized access. 'Send' claim(s) are required to perform this operation. Resource: 'sb://emulator-in-memory.invalid/"+sender+"'. TrackingId:")
				_, err = session.NewReceiver(t.Context(), receiver, nil)
				wantClaim(t, err, test.listens, "Unauthorized access. 'Listen' claim(s) are required")
				_, err = session.NewSender(t.Context(), "events/$management", nil)
				wantClaim(t, err, test.manages, "claim(s) are required")
			})
		})
	}
}

func wantClaim(t *testing.T, err error, allowed bool, text string) {
	t.Helper()
	switch {
	case allowed && err != nil:
		t.Errorf("refused: %v", err)
	case !allowed && (condition(err) != "amqp:unauthorized-access" || !strings.Contains(err.Error(), text)):
		t.Errorf("%v; want amqp:unauthorized-access %q", err, text)
	}
}

func TestWhatExistsIsNotToldToWhoMayNotUseIt(t *testing.T) {
	authenticated(t, emulator.Authentication{}, func(t *testing.T, server *emulator.Server) {
		_, err := mustSession(t, server).NewSender(t.Context(), "nosuch", nil)
		wantClaim(t, err, false, "'Send' claim(s)")
	})
}

func TestManagementNeedsAClaimForTheHub(t *testing.T) {
	authenticated(t, emulator.Authentication{}, func(t *testing.T, server *emulator.Server) {
		session := mustSession(t, server)
		put(t, session, kindSAS, memoryURL+"/other", server.SharedAccessSignature("other", time.Hour), 202, "Accepted", "")
		node := openNode(t, session, "$management", "me")
		checkStatus(t, node.call(t, read(map[string]any{"name": "other"})), 200, "OK", "")
		checkStatus(t, node.call(t, read(nil)), 401, "Unauthorized access.", "amqp:unauthorized-access")
		good := server.SharedAccessSignature("events", time.Hour, emulator.RightListen)
		checkStatus(t, node.call(t, read(map[string]any{"security_token": good})), 200, "OK", "")
		bad := server.SharedAccessSignature("events", -time.Hour)
		checkStatus(t, node.call(t, read(map[string]any{"security_token": bad})), 401, "Unauthorized access.", "amqp:unauthorized-access")
	})
}

// Rust's consumer puts a token for the $management node of its consumer group, and asks the hub's.
func TestATokenForManagementOfAGroupAllowsToReadItsHub(t *testing.T) {
	authenticated(t, emulator.Authentication{}, func(t *testing.T, server *emulator.Server) {
		session := mustSession(t, server)
		put(t, session, kindSAS, memoryURL+"/events/ConsumerGroups/$Default/$management", server.SharedAccessSignature("events", time.Hour, emulator.RightListen), 202, "Accepted", "")
		node := openNode(t, session, "$management", "me")
		checkStatus(t, node.call(t, read(nil)), 200, "OK", "")
		checkStatus(t, node.call(t, read(map[string]any{"name": "other"})), 401, "Unauthorized access.", "amqp:unauthorized-access")
		openNode(t, session, "events/ConsumerGroups/$Default/$management", "group")
		for _, address := range []string{"", "events", "events/Partitions/0"} {
			if _, err := session.NewSender(t.Context(), address, nil); err == nil {
				t.Errorf("the token also allows to send to %q", address)
			}
		}
		_, err := session.NewReceiver(t.Context(), partition0, nil)
		wantClaim(t, err, false, "'Listen' claim(s)")
	})
}

// The legacy Java client asks with a token for the host, on a connection to the host and its port.
func TestATokenIsForAHostWhateverThePort(t *testing.T) {
	for _, host := range []string{"sb://emulator.test", "amqp://emulator.test:5671", "sb://emulator.test:1"} {
		authenticated(t, emulator.Authentication{}, func(t *testing.T, server *emulator.Server) {
			nc, err := server.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			conn, err := amqp.NewConn(t.Context(), nc, &amqp.ConnOptions{SASLType: amqp.SASLTypeAnonymous(), HostName: "emulator.test:5671"})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			session, err := conn.NewSession(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			token := sas.Sign(host+"/events", rootName, rootKey, time.Now().Add(time.Hour))
			node := openNode(t, session, "$management", "reads")
			checkStatus(t, node.call(t, read(map[string]any{"security_token": token})), 200, "OK", "")
			put(t, session, kindSAS, "sb://emulator.test:5671/events", token, 202, "Accepted", "")
			put(t, session, kindSAS, "sb://elsewhere:5671/events", token, 401, "InvalidAudience: ", "com.microsoft:auth-failed")
		})
	}
}

// Azure's Java client puts no token for $management.
func TestATokenThatComesWithAManagementRequestIsEnough(t *testing.T) {
	authenticated(t, emulator.Authentication{}, func(t *testing.T, server *emulator.Server) {
		node := openNode(t, mustSession(t, server), "$management", "me")
		checkStatus(t, node.call(t, read(nil)), 401, "Unauthorized access.", "amqp:unauthorized-access")
		time.Sleep(19 * time.Second)
		good := server.SharedAccessSignature("events", time.Hour, emulator.RightSend)
		checkStatus(t, node.call(t, read(map[string]any{"security_token": good})), 200, "OK", "")
		time.Sleep(time.Minute) // a connection that has shown a valid token stays
		checkStatus(t, node.call(t, read(map[string]any{"security_token": good})), 200, "OK", "")
	})
}

func TestExpiryDetachesTheLinksAndNothingElse(t *testing.T) {
	authenticated(t, emulator.Authentication{}, func(t *testing.T, server *emulator.Server) {
		session := mustSession(t, server)
		put(t, session, kindSAS, memoryURL+"/events", server.SharedAccessSignature("events", time.Hour), 202, "Accepted", "")
		put(t, session, kindSAS, memoryURL+"/other", server.SharedAccessSignature("other", 2*time.Hour), 202, "Accepted", "")
		sender, err := session.NewSender(t.Context(), "events", nil)
		if err != nil {
			t.Fatal(err)
		}
		other, err := session.NewSender(t.Context(), "other", nil)
		if err != nil {
			t.Fatal(err)
		}
		receiver, err := session.NewReceiver(t.Context(), "events/ConsumerGroups/$Default/Partitions/0", nil)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		_, err = receiver.Receive(t.Context(), nil)
		if time.Since(begin) != time.Hour || condition(err) != "amqp:unauthorized-access" || !strings.Contains(err.Error(), "ExpiredToken: The token is expired. Expiration time: '2000-01-01T01:00:00Z'") {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		synctest.Wait() // go-amqp uses a handle again before it has answered the server's detach
		if _, err = sendOne(t, sender); condition(err) != "amqp:unauthorized-access" {
			t.Errorf("sending to the hub whose token has expired: %v", err)
		}
		if _, err := sendOne(t, other); err != nil {
			t.Errorf("sending to the other hub: %v", err)
		}
		_, err = session.NewSender(t.Context(), "events", nil)
		wantClaim(t, err, false, "'Send' claim(s)")
		// The connection still works.
		put(t, session, kindSAS, memoryURL+"/events", server.SharedAccessSignature("events", time.Hour), 202, "Accepted", "")
		if _, err = session.NewSender(t.Context(), "events", nil); err != nil {
			t.Error(err)
		}
	})
}

func TestARenewedTokenKeepsTheLinks(t *testing.T) {
	authenticated(t, emulator.Authentication{}, func(t *testing.T, server *emulator.Server) {
		session := mustSession(t, server)
		var sender *amqp.Sender
		for range 10 {
			put(t, session, kindSAS, memoryURL+"/events", server.SharedAccessSignature("events", time.Hour), 202, "Accepted", "")
			if sender == nil {
				var err error
				if sender, err = session.NewSender(t.Context(), "events", nil); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(59 * time.Minute)
			if _, err := sendOne(t, sender); err != nil {
				t.Fatal(err)
			}
		}
		// A shorter token replaces a longer one.
		put(t, session, kindSAS, memoryURL+"/events", server.SharedAccessSignature("events", time.Second), 202, "Accepted", "")
		time.Sleep(time.Second)
		synctest.Wait()
		if _, err := sendOne(t, sender); condition(err) != "amqp:unauthorized-access" {
			t.Errorf("sending: %v", err)
		}
	})
}

// TestATokenThatTakesARightAwayEndsTheLinksAtOnce replaces a token by ones that allow less.
func TestATokenThatTakesARightAwayEndsTheLinksAtOnce(t *testing.T) {
	authenticated(t, emulator.Authentication{}, func(t *testing.T, server *emulator.Server) {
		session := mustSession(t, server)
		put(t, session, kindSAS, memoryURL+"/events", server.SharedAccessSignature("events", time.Hour), 202, "Accepted", "")
		sender, err := session.NewSender(t.Context(), "events/Partitions/0", nil)
		if err != nil {
			t.Fatal(err)
		}
		receiver, err := session.NewReceiver(t.Context(), partition0, nil)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		put(t, session, kindSAS, memoryURL+"/events", server.SharedAccessSignature("events", time.Hour, emulator.RightListen), 202, "Accepted", "")
		synctest.Wait()
		_, err = sendOne(t, sender)
		wantClaim(t, err, false, "Unauthorized access. 'Send' claim(s) are required to perform this operation. Resource: 'sb://emulator-in-memory.invalid/events/Partitions/0'. TrackingId:")
		if strings.Contains(fmt.Sprint(err), "0001-") {
			t.Errorf("the sender hears of the year 1: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := receiver.Receive(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the receiver, which may still listen: %v", err)
		}
		put(t, session, kindSAS, memoryURL+"/events", server.SharedAccessSignature("events", time.Hour, emulator.RightSend), 202, "Accepted", "")
		_, err = receiver.Receive(t.Context(), nil)
		wantClaim(t, err, false, "'Listen' claim(s)")
		if got := time.Since(begin); got != time.Minute {
			t.Errorf("the receiver is detached after %v, want at once after 1m0s", got)
		}
	})
}

func TestAConnectionWithoutATokenIsClosed(t *testing.T) {
	for _, test := range []struct {
		timeout time.Duration
		want    time.Duration // 0: never
	}{{0, 20 * time.Second}, {time.Minute, time.Minute}, {-1, 0}} {
		t.Run(test.timeout.String(), func(t *testing.T) {
			authenticated(t, emulator.Authentication{Timeout: test.timeout}, func(t *testing.T, server *emulator.Server) {
				begin := time.Now()
				idle, err := connect(t, server)
				if err != nil {
					t.Fatal(err)
				}
				busy := mustSession(t, server)
				put(t, busy, kindSAS, memoryURL+"/events", "SharedAccessSignature sr=x", 401, "MalformedToken", "com.microsoft:auth-failed")
				put(t, busy, kindSAS, memoryURL+"/events", server.SharedAccessSignature("", time.Second), 202, "Accepted", "")
				wait := time.Hour
				if test.want > 0 {
					wait = 2 * test.want
				}
				select {
				case <-idle.Done():
					if got := time.Since(begin); got != test.want || condition(idle.Err()) != "amqp:connection:forced" {
						t.Errorf("closed after %v: %v", got, idle.Err())
					}
				case <-time.After(wait):
					if test.want != 0 {
						t.Errorf("not closed after %v", wait)
					}
				}
				// One valid token is enough, even after it has expired.
				put(t, busy, kindSAS, memoryURL+"/events", server.SharedAccessSignature("", time.Hour), 202, "Accepted", "")
			})
		})
	}
}

func TestTokensOfAHookAreJudgedByIt(t *testing.T) {
	judge := func(_ context.Context, token string) (emulator.Claims, error) {
		switch token {
		case "send":
			return emulator.Claims{Rights: emulator.RightSend}, nil
		case "late":
			return emulator.Claims{Rights: emulator.RightSend, Expires: time.Now().Add(-time.Second)}, nil
		case "other":
			return emulator.Claims{Rights: emulator.RightSend, Hub: "Other"}, nil
		}
		return emulator.Claims{}, errors.New("the issuer is unknown")
	}
	authenticated(t, emulator.Authentication{JWT: judge}, func(t *testing.T, server *emulator.Server) {
		session := mustSession(t, server)
		put(t, session, kindJWT, memoryURL+"/events", "forged", 401, "MalformedToken: The token is malformed: the issuer is unknown.", "com.microsoft:auth-failed")
		put(t, session, kindJWT, memoryURL+"/events", "late", 401, "ExpiredToken: ", "com.microsoft:auth-failed")
		put(t, session, kindJWT, memoryURL+"/events", "other", 401, "InvalidAudience: ", "com.microsoft:auth-failed")
		put(t, session, kindJWT, memoryURL+"/other/Partitions/0", "other", 202, "Accepted", "")
		put(t, session, kindJWT, memoryURL+"/events", "send", 202, "Accepted", "")
		if _, err := session.NewSender(t.Context(), "events", nil); err != nil {
			t.Error(err)
		}
	})
}

func TestCredentialsOfTheServerAreAccepted(t *testing.T) {
	authenticated(t, emulator.Authentication{}, func(t *testing.T, server *emulator.Server) {
		session := mustSession(t, server)
		token, err := server.Credential(emulator.RightListen).GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://eventhubs.azure.net//.default"}})
		if err != nil || time.Until(token.ExpiresOn) != time.Hour {
			t.Fatalf("GetToken: %v, expires in %v", err, time.Until(token.ExpiresOn))
		}
		put(t, session, kindJWT, memoryURL+"/events", token.Token, 202, "Accepted", "")
		_, err = session.NewSender(t.Context(), "events", nil)
		wantClaim(t, err, false, "'Send'")
		put(t, session, "amqp:jwt", memoryURL+"/events", mustToken(t, server), 202, "Accepted", "")
		if _, err = session.NewSender(t.Context(), "events", nil); err != nil {
			t.Error(err)
		}
		put(t, session, kindJWT, memoryURL+"/events", mustToken(t, emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory})), 401, "Server.Credential", "com.microsoft:auth-failed")
		parts := strings.Split(token.Token, ".")
		payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
		parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(payload), `"rights":2`, `"rights":7`, 1)))
		put(t, session, kindJWT, memoryURL+"/events", strings.Join(parts, "."), 401, "MalformedToken", "com.microsoft:auth-failed")
		time.Sleep(time.Hour)
		synctest.Wait() // go-amqp uses a handle again before it has answered the server's detach
		put(t, session, kindJWT, memoryURL+"/events", token.Token, 401, "ExpiredToken", "com.microsoft:auth-failed")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := server.Credential().GetToken(ctx, policy.TokenRequestOptions{}); !errors.Is(err, context.Canceled) {
			t.Errorf("GetToken with a context that has ended: %v", err)
		}
	})
}

func mustToken(t *testing.T, server *emulator.Server) string {
	t.Helper()
	token, err := server.Credential().GetToken(t.Context(), policy.TokenRequestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return token.Token
}

func TestSASLPlainBringsAKey(t *testing.T) {
	auth := emulator.Authentication{Keys: []emulator.Key{{Name: "sender", Value: "secret", Rights: emulator.RightSend, Hub: "Events"}}}
	authenticated(t, auth, func(t *testing.T, server *emulator.Server) {
		login := func(user, password string) (*amqp.Conn, error) {
			nc, err := server.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return amqp.NewConn(t.Context(), nc, &amqp.ConnOptions{SASLType: amqp.SASLTypePlain(user, password)})
		}
		for _, wrong := range [][2]string{{"sender", "Secret"}, {"nobody", "secret"}, {"", ""}} {
			if conn, err := login(wrong[0], wrong[1]); err == nil {
				_ = conn.Close()
				t.Errorf("%q is let in", wrong)
			}
		}
		conn, err := login("sender", "secret")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		time.Sleep(time.Hour) // no token is needed
		session, err := conn.NewSession(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := session.NewSender(t.Context(), "events", nil); err != nil {
			t.Error(err)
		}
		_, err = session.NewSender(t.Context(), "other", nil)
		wantClaim(t, err, false, "'Send'")
		_, err = session.NewReceiver(t.Context(), "events/ConsumerGroups/$Default/Partitions/0", nil)
		wantClaim(t, err, false, "'Listen'")
	})
}

func TestEveryMechanismOfTheServiceIsOffered(t *testing.T) {
	for _, auth := range []*emulator.Authentication{nil, {}} {
		server := emulatortest.New(t, &emulator.Options{Authentication: auth})
		for _, mechanism := range []string{"MSSBCBS", "ANONYMOUS", "EXTERNAL"} {
			if err := greetWith(t, server, mechanism, nil); err != nil {
				t.Errorf("%s: %v", mechanism, err)
			}
		}
		if err := greetWith(t, server, "PLAIN", []byte("\x00"+rootName+"\x00"+rootKey)); err != nil {
			t.Errorf("PLAIN: %v", err)
		}
		if err := greetWith(t, server, "PLAIN", []byte("rubbish")); (err == nil) != (auth == nil) {
			t.Errorf("PLAIN with rubbish: %v", err)
		}
	}
}

func TestConnectionStringsOfEveryKindWorkWithTheGoSDK(t *testing.T) {
	auth := &emulator.Authentication{Keys: []emulator.Key{{Name: rootName, Value: "another", Rights: emulator.RightManage}}}
	server := emulatortest.New(t, &emulator.Options{Authentication: auth})
	for name, test := range map[string]struct {
		text string
		good bool
	}{
		"the key":               {server.ConnectionString("events"), true},
		"the key over TLS":      {server.TLSConnectionString("events"), true},
		"a signature":           {server.SASConnectionString("events"), true},
		"a signature to send":   {server.SASConnectionString("events", emulator.RightSend), true},
		"a signature to listen": {server.SASConnectionString("events", emulator.RightListen), false},
		"the well-known key":    {strings.Replace(server.ConnectionString("events"), "another", rootKey, 1), false},
	} {
		err := publishBy(t, server, test.text)
		if (err == nil) != test.good {
			t.Errorf("%s: %v", name, err)
		}
		if !test.good && !strings.Contains(fmt.Sprint(err), "unauthorized") && !strings.Contains(fmt.Sprint(err), "auth") {
			t.Errorf("%s: %v", name, err)
		}
	}
	var got int
	for _, id := range server.PartitionIDs("events") {
		got += server.Counts("events", id).Events
	}
	if got != 4 {
		t.Errorf("%d events stored, want 4", got)
	}
}

func TestOptionsOfAuthenticationAreChecked(t *testing.T) {
	good := emulator.Key{Name: "n", Value: "v", Rights: emulator.RightSend}
	for want, change := range map[string]func(*emulator.Key){
		"Keys[1].Name":               func(k *emulator.Key) { k.Name = "" },
		"Keys[1].Name is \"a=b\"":    func(k *emulator.Key) { k.Name = "a=b" },
		"reserved for the server":    func(k *emulator.Key) { k.Name = "emulator-send" },
		"Keys[1].Value is empty":     func(k *emulator.Key) { k.Value = "" },
		"Keys[1].Value begins or":    func(k *emulator.Key) { k.Value += "\n" },
		`Keys[1].Name is "a\u00a0"`:  func(k *emulator.Key) { k.Name = "a\u00a0" },
		`Keys[1].Name is "\"a\""`:    func(k *emulator.Key) { k.Name = `"a"` },
		"semicolon":                  func(k *emulator.Key) { k.Value = "hush;hush" },
		"Keys[1].Rights is 0x0":      func(k *emulator.Key) { k.Rights = 0 },
		"Keys[1].Rights is 0x40; it": func(k *emulator.Key) { k.Rights = 0x40 },
	} {
		bad := good
		change(&bad)
		_, err := emulator.New(&emulator.Options{Authentication: &emulator.Authentication{Keys: []emulator.Key{good, bad}}})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("New: %v, want an error with %q", err, want)
		}
	}
	if got := (emulator.RightSend | emulator.RightManage).String(); got != "Send, Manage" {
		t.Errorf("rights are printed as %q", got)
	}
}
