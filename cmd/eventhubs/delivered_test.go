package main

import (
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
)

func TestAConnectionStringIsTakenAsItIsDelivered(t *testing.T) {
	server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 2}}, Authentication: &emulator.Authentication{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	plain := server.ConnectionString("")
	for name, text := range map[string]string{
		"a file's line end":     plain + "\r\n",
		"quotes of an .env":     `"` + plain + `;EntityPath=events"`,
		"a part a line":         strings.ReplaceAll(plain, ";", ";\n  "),
		"the key in quotes":     strings.Replace(plain, "SharedAccessKey=SAS_KEY_VALUE", `SharedAccessKey = "SAS_KEY_VALUE"`, 1) + ";EntityPath=",
		"another case":          strings.Replace(plain, "SharedAccessKey=", "sharedaccesskey=", 1) + ";EntityPath=Events",
		"a byte order mark":     "\ufeff" + plain,
		".NET's former builder": plain + ";OperationTimeout=00:01:00;TransportType=Amqp",
	} {
		t.Run(name, func(t *testing.T) {
			p := program{env: map[string]string{connectionEnv: text}}
			p.run(t, "publish", writeFile(t, "a\n"), "--hub", "events").want(t, exitOK)
			p.run(t, "tail", "--from", "start", "--count", "1").want(t, exitOK)
			program{}.run(t, "check", "--connection-string", text, "--hub", "events").want(t, exitOK)
		})
	}
}

func TestWhatCannotWorkIsRefusedWithTheFlagToGive(t *testing.T) {
	const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ="
	const plain = "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=n;SharedAccessKey=" + secret
	server := startSecureServer(t)
	for name, test := range map[string]struct {
		args []string
		text string // in the environment
		want []string
	}{
		"keyless":                {nil, "Endpoint=https://ns.servicebus.windows.net:443/", []string{connectionEnv + ": ", "has no key and no signature", "--namespace HOST and --hub NAME"}},
		"an identity":            {nil, "Endpoint=sb://ns.servicebus.windows.net/;Authentication=Managed Identity", []string{"asks for an Azure identity", "--namespace HOST"}},
		"by flag":                {[]string{"--connection-string", "Endpoint=sb://ns/"}, "", []string{"--connection-string: ", "a shell cuts it at its first semicolon"}},
		"WebSocket":              {nil, plain + ";TransportType=AmqpWebSockets", []string{"TransportType", "add --websocket"}},
		"WebSocket by port":      {[]string{"--namespace", "ns.servicebus.windows.net:443", "--hub", "h"}, "", []string{"port 443", "add --websocket"}},
		"IoT Hub":                {nil, "HostName=a.azure-devices.net;SharedAccessKeyName=n;SharedAccessKey=" + secret, []string{"Event Hub-compatible endpoint"}},
		"empty key":              {nil, strings.Replace(plain, secret, `""`, 1), []string{"SharedAccessKey is empty"}},
		"a placeholder":          {nil, strings.Replace(plain, secret, "${KEY}", 1), []string{"SharedAccessKey is a placeholder"}},
		"another hub":            {[]string{"--hub", "audit"}, plain + ";EntityPath=orders", []string{`"orders" (EntityPath)`, `--hub names "audit"`}},
		"a hub in quotes":        {[]string{"--hub", `"audit"`}, plain, []string{`--hub "\"audit\"" has quotation marks`}},
		"a hub with newline":     {[]string{"--hub", "audit\n"}, plain, []string{`--hub "audit\n" has white space around it`}},
		"Kafka's port":           {[]string{"--namespace", "ns.servicebus.windows.net:9093", "--hub", "h"}, "", []string{"--namespace", "Kafka"}},
		"a namespace's line end": {[]string{"--namespace", "ns.servicebus.windows.net\n", "--hub", "h"}, "", []string{`--namespace "ns.servicebus.windows.net\n" has white space around it`}},
		"IoT Hub's host":         {[]string{"--namespace", "a.azure-devices.net", "--hub", "h"}, "", []string{"Event Hub-compatible endpoint"}},
	} {
		for _, verb := range [][]string{{"publish", "-"}, {"tail"}, {"check"}} {
			p := program{credential: server.Credential()}
			if test.text != "" {
				p.env = map[string]string{connectionEnv: test.text}
			}
			got := p.run(t, append(verb, test.args...)...)
			got.want(t, exitBadInput, test.want...)
			if strings.Contains(got.stderr, secret[:8]) {
				t.Errorf("%s, %s: the key is shown: %s", name, verb[0], got.stderr)
			}
		}
	}
}

func TestAStringThatAsksForWebSocketsIsTakenWithTheFlag(t *testing.T) {
	server := startSecureServer(t)
	p := program{env: map[string]string{connectionEnv: server.TLSConnectionString("") + ";TransportType=AmqpWebSockets"}}
	p.run(t, "publish", "--websocket", "--tls-ca", authorityFile(t, server), writeFile(t, "a\n")).want(t, exitOK)
	p.run(t, "tail", "--websocket", "--tls-ca", authorityFile(t, server), "--from", "start", "--count", "1").want(t, exitOK)
}

func TestASecretIsHiddenHoweverTheStringIsDressed(t *testing.T) {
	const secret = "c2VjcmV0LXNlY3JldA=="
	for _, text := range []string{
		"SharedAccessKey=" + secret + "\n",
		`SharedAccessKey = "` + secret + `"`,
		"Endpoint=sb://a/\nSharedAccessKey='" + secret + "'\nEntityPath=e",
		`"Endpoint=sb://a/;SharedAccessKey=` + secret + `"`,
		"SharedAccessKey=\u00a0" + secret + "\u200b",
	} {
		p := &process{connectionString: text}
		if got := p.redact("the file " + secret + " is not there"); got != "the file [hidden] is not there" {
			t.Errorf("%q: got %q", text, got)
		}
	}
	p := &process{connectionString: "Endpoint=sb://a.example/;TransportType=Amqp;OperationTimeout=00:01:00"}
	if got := p.redact("a.example speaks Amqp"); got != "a.example speaks Amqp" {
		t.Errorf("got %q", got)
	}
}
