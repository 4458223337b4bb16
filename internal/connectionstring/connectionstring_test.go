package connectionstring

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
)

const (
	host      = "ns.servicebus.windows.net"
	key       = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ="
	plain     = "Endpoint=sb://" + host + "/;SharedAccessKeyName=send;SharedAccessKey=" + key
	signature = "SharedAccessSignature sr=ns.servicebus.windows.net%2Forders&sig=c2VjcmV0LXNlY3JldA%3D%3D&se=4000000000&skn=send"
	signed    = "Endpoint=sb://" + host + "/;SharedAccessSignature=" + signature
	emulated  = "Endpoint=sb://localhost:5672;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;"
)

// withEndpoint is the plain string with another endpoint.
func withEndpoint(endpoint string) string {
	return strings.Replace(plain, "sb://"+host+"/", endpoint, 1)
}

// withKey is the plain string with another key.
func withKey(other string) string { return strings.Replace(plain, key, other, 1) }

// said is the contents of a String in one line.
func said(s String) string {
	text := fmt.Sprintf("%s|%s|%s|%s|%s", s.Namespace, s.KeyName, s.Key(), s.Signature(), s.Hub)
	if s.Emulator {
		text += "|emulator"
	}
	if s.WebSocket != "" {
		text += "|WebSocket"
	}
	return text
}

const saidPlain = host + "|send|" + key + "||"

func TestWhatIsDeliveredIsRead(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"as the portal shows it":           {plain, saidPlain},
		"of a hub":                         {plain + ";EntityPath=orders", saidPlain + "orders"},
		"a signature":                      {signed, host + "|||" + signature + "|"},
		"a signature and its key's name":   {signed + ";SharedAccessKeyName=send", host + "|send||" + signature + "|"},
		"of the emulator":                  {emulated, "localhost:5672|RootManageSharedAccessKey|SAS_KEY_VALUE|||emulator"},
		"an emulator in a container":       {strings.Replace(emulated, "localhost:5672", "eventhubs_emulator", 1), "eventhubs_emulator|RootManageSharedAccessKey|SAS_KEY_VALUE|||emulator"},
		"an emulator at IPv6":              {strings.Replace(emulated, "localhost", "[::1]", 1), "[::1]:5672|RootManageSharedAccessKey|SAS_KEY_VALUE|||emulator"},
		"a tutorial's key":                 {strings.Replace(emulated, "SAS_KEY_VALUE", "<any>", 1), "localhost:5672|RootManageSharedAccessKey|<any>|||emulator"},
		"any case":                         {strings.NewReplacer("Endpoint", "ENDPOINT", "SharedAccess", "sharedaccess").Replace(plain), saidPlain},
		"newline at the end":               {plain + "\n", saidPlain},
		"CRLF at the end":                  {plain + ";\r\n", saidPlain},
		"byte order mark":                  {"\ufeff" + plain, saidPlain},
		"no-break space":                   {"\u00a0" + plain + "\u00a0", saidPlain},
		"zero-width space":                 {strings.ReplaceAll(plain, ";", ";\u200b"), saidPlain},
		"NUL at the end":                   {plain + "\x00", saidPlain},
		"spaces around =":                  {strings.NewReplacer("Key=", "Key = ", "Name=", "Name =\t", "Endpoint=", "Endpoint= ").Replace(plain), saidPlain},
		"a part a line, with semicolons":   {strings.ReplaceAll(plain, ";", ";\n  "), saidPlain},
		"a part a line, without":           {strings.ReplaceAll(plain, ";", "\n"), saidPlain},
		"a part a line, CRLF":              {strings.ReplaceAll(plain, ";", ";\r\n"), saidPlain},
		"empty parts":                      {";;" + strings.ReplaceAll(plain, ";", " ;; ") + "; ;", saidPlain},
		"double quotes":                    {`"` + plain + `"`, saidPlain},
		"single quotes":                    {"'" + plain + "'", saidPlain},
		"quotes and a newline":             {"\"" + plain + "\n\"\n", saidPlain},
		"quotes in quotes":                 {`'"` + plain + `"'`, saidPlain},
		"a semicolon behind the quotes":    {`"` + plain + `";`, saidPlain},
		"typographic quotes":               {"“" + plain + "”", saidPlain},
		"each value in quotes":             {`Endpoint="sb://` + host + `/";SharedAccessKeyName='send';SharedAccessKey="` + key + `"`, saidPlain},
		"each keyword in quotes too":       {`"Endpoint"="sb://` + host + `/";"SharedAccessKeyName"="send";"SharedAccessKey"="` + key + `"`, saidPlain},
		"the key in quotes, all in others": {`'` + withKey(`"`+key+`"`) + `'`, saidPlain},
		"the key in quotes, all in such":   {`"` + withKey(`"`+key+`"`) + `"`, saidPlain},
		"a semicolon in quotes":            {strings.Replace(emulated, "SAS_KEY_VALUE", `"a;b"`, 1), "refused: SharedAccessKey"},
		"a doubled quote in quotes":        {withKey(`"a""b"`), "refused: SharedAccessKey"},
		"empty hub":                        {plain + ";EntityPath=", saidPlain},
		"empty hub and a hub":              {plain + ";EntityPath=;EntityPath=orders", saidPlain + "orders"},
		"empty emulator":                   {plain + ";UseDevelopmentEmulator=", saidPlain},
		"no emulator":                      {plain + ";UseDevelopmentEmulator=False", saidPlain},
		"the same twice":                   {plain + ";" + plain, saidPlain},
		"the same in other words":          {plain + ";Endpoint=https://NS.servicebus.windows.net:443", saidPlain},
		".NET's former builder":            {plain + ";OperationTimeout=00:01:00;TransportType=Amqp", saidPlain},
		"Aspire, with a key":               {plain + ";EntityPath=orders;ConsumerGroup=group", saidPlain + "orders"},
		"a keyword of the future":          {plain + ";Region=West Europe", saidPlain},
		"TransportType of Java":            {plain + ";TransportType=AMQP_WEB_SOCKETS", saidPlain + "|WebSocket"},
		"TransportType of .NET":            {plain + ";TransportType=AmqpWebSockets", saidPlain + "|WebSocket"},
		"TransportType of Python":          {plain + ";transporttype=AmqpOverWebsocket", saidPlain + "|WebSocket"},
		"TransportType as a number":        {plain + ";TransportType=1", saidPlain + "|WebSocket"},
		"TransportType TCP":                {plain + ";TransportType=AmqpTcp", saidPlain},
		"endpoint in upper case":           {withEndpoint("SB://NS.ServiceBus.Windows.NET/"), saidPlain},
		"endpoint without scheme":          {withEndpoint(host), saidPlain},
		"endpoint with the DNS' root":      {withEndpoint("sb://" + host + "./"), saidPlain},
		"endpoint of HTTPS":                {withEndpoint("https://" + host + ":443/"), saidPlain},
		"endpoint with AMQP's port":        {withEndpoint("sb://" + host + ":5671"), saidPlain},
		"endpoint with amqps":              {withEndpoint("amqps://" + host + "//"), saidPlain},
		"endpoint with port 443":           {withEndpoint("sb://" + host + ":443"), saidPlain + "|WebSocket"},
		"endpoint with wss":                {withEndpoint("wss://" + host), saidPlain + "|WebSocket"},
		"another cloud":                    {withEndpoint("sb://ns.servicebus.chinacloudapi.cn:5671"), "ns.servicebus.chinacloudapi.cn|send|" + key + "||"},
		"a gateway named as the service":   {withEndpoint("sb://ns.servicebus.corp.example:443"), "ns.servicebus.corp.example:443|send|" + key + "||"},
		"a hub named as Kafka's module":    {plain + ";EntityPath=LoginModule", saidPlain + "LoginModule"},
		"a gateway's port":                 {withEndpoint("sb://gateway.example:443"), "gateway.example:443|send|" + key + "||"},
	} {
		t.Run(name, func(t *testing.T) {
			got := "refused"
			s, err := Parse(test.text)
			if e, ok := errors.AsType[*Error](err); ok {
				got += ": " + e.Of
			} else if err == nil {
				got = said(s)
			}
			if got != test.want {
				t.Errorf("%q\n got %s (%v)\nwant %s", test.text, got, err, test.want)
			}
			if err != nil {
				return
			}
			if again, err := Parse(s.Text()); err != nil || said(String{again.Namespace, s.Hub, again.KeyName, again.Emulator, s.WebSocket, again.key, again.signature}) != said(s) {
				t.Errorf("its Text says %s (%v)", s.Text(), err)
			}
		})
	}
}

func TestWhatCannotWorkIsRefusedWithTheReason(t *testing.T) {
	for name, test := range map[string]struct {
		text   string
		reason Reason
		about  string // Of or Keyword
	}{
		"nothing":                          {"", Empty, ""},
		"white space":                      {" \r\n\ufeff", Empty, ""},
		"empty quotes":                     {`""`, Empty, ""},
		"semicolons":                       {";;", Empty, ""},
		"UTF-16":                           {"E\x00n\x00d\x00p\x00o\x00i\x00n\x00t\x00=\x00", NotText, ""},
		"UTF-16 with its mark":             {"\xff\xfeE\x00n\x00", NotText, ""},
		"base64":                           {base64.StdEncoding.EncodeToString([]byte(plain)), Base64, ""},
		"base64 in lines":                  {base64.StdEncoding.EncodeToString([]byte(plain))[:40] + "\n" + base64.StdEncoding.EncodeToString([]byte(plain))[40:], Base64, ""},
		"JSON":                             {`{"primaryConnectionString": "` + plain + `"}`, InBrackets, ""},
		"braces":                           {"{" + plain + "}", InBrackets, ""},
		"angle brackets":                   {"<" + plain + ">", InBrackets, ""},
		"Kafka's":                          {`org.apache.kafka.common.security.plain.PlainLoginModule required username="$ConnectionString" password="` + plain + `";`, KafkaSetting, ""},
		"encoded for a URL":                {strings.NewReplacer("=", "%3D", "/", "%2F", ":", "%3A", ";", "%3B").Replace(plain), URLEncoded, ""},
		"a line of an .env file":           {"EVENTHUBS_CONNECTION_STRING=" + plain, InFront, "Endpoint"},
		"a line of a shell":                {"export CS='" + plain + "'", InFront, "Endpoint"},
		"a line of YAML":                   {"connectionString: " + plain, InFront, "Endpoint"},
		"a misread byte order mark":        {"ï»¿" + plain, InFront, "Endpoint"},
		"an escaped quote in front":        {`\"` + plain + `\"`, InFront, "Endpoint"},
		"a quote that is not closed":       {`"` + plain, OpenQuote, ""},
		"a quote of the key not closed":    {withKey(`"` + key), OpenQuote, ""},
		"a word":                           {"x", Malformed, ""},
		"a key":                            {key, Malformed, ""},
		"a part without =":                 {plain + ";EntityPath", Malformed, ""},
		"a part without keyword":           {plain + ";=orders", Malformed, ""},
		"a part of signs":                  {plain + ";a/b=c", Malformed, ""},
		"no endpoint":                      {"SharedAccessKeyName=send;SharedAccessKey=" + key, Missing, "Endpoint"},
		"no key's name":                    {"Endpoint=sb://ns/;SharedAccessKey=" + key, Missing, "SharedAccessKeyName"},
		"cut behind the name, by a shell":  {"Endpoint=sb://ns/;SharedAccessKeyName=send", Missing, "SharedAccessKey"},
		"no semicolon behind the endpoint": {strings.Replace(plain, "/;", "/", 1), Glued, "SharedAccessKeyName"},
		"no semicolon behind the name":     {strings.Replace(plain, "send;", "send ", 1), Glued, "SharedAccessKey"},
		"no semicolon behind the key":      {plain + "EntityPath=orders", Glued, "EntityPath"},
		"commas":                           {strings.ReplaceAll(plain, ";", ","), Glued, "SharedAccessKeyName"},
		"a misspelt keyword":               {strings.Replace(plain, "AccessKey=", "AccesKey=", 1), Nearly, "SharedAccessKey"},
		"a keyword with spaces":            {strings.Replace(plain, "SharedAccessKeyName", "Shared Access Key Name", 1), Nearly, "SharedAccessKeyName"},
		"a misspelt keyword beside all":    {plain + ";EntityPaht=orders", Nearly, "EntityPath"},
		"two endpoints":                    {plain + ";Endpoint=sb://other/", Contradiction, "Endpoint"},
		"two keys":                         {plain + ";SharedAccessKey=b3RoZXI=", Contradiction, "SharedAccessKey"},
		"two hubs":                         {plain + ";EntityPath=orders;EntityPath=audit", Contradiction, "EntityPath"},
		"key and signature":                {plain + ";SharedAccessSignature=" + signature, KeyAndSignature, ""},
		"Aspire":                           {"Endpoint=https://" + host + ":443/", Keyless, ""},
		"Aspire with a hub":                {"Endpoint=https://" + host + ":443/;EntityPath=orders;ConsumerGroup=$Default", Keyless, ""},
		"Aspire without keyword":           {"https://" + host + ":443/", Keyless, ""},
		"a host":                           {host, Keyless, ""},
		"cut behind the endpoint":          {"Endpoint=sb://" + host + "/", Keyless, ""},
		"a managed identity":               {"Endpoint=sb://" + host + "/;Authentication=Managed Identity", Identity, ""},
		"a setting of Functions":           {"fullyQualifiedNamespace=" + host, Identity, ""},
		"IoT Hub":                          {"HostName=hub.azure-devices.net;SharedAccessKeyName=iothubowner;SharedAccessKey=" + key, IoTHub, ""},
		"a device":                         {"HostName=hub.azure-devices.net;DeviceId=d;SharedAccessKey=" + key, IoTHub, ""},
		"IoT Hub as endpoint":              {withEndpoint("sb://hub.azure-devices.net"), IoTHub, "Endpoint"},
		"storage":                          {"DefaultEndpointsProtocol=https;AccountName=a;AccountKey=" + key + ";EndpointSuffix=core.windows.net", Storage, ""},
		"storage by signature":             {"BlobEndpoint=https://a.blob.core.windows.net;SharedAccessSignature=sv=2020&sig=x", Storage, ""},
		"storage emulator":                 {"UseDevelopmentStorage=true", Storage, ""},
		"SignalR":                          {"Endpoint=https://a.service.signalr.net;AccessKey=" + key + ";Version=1.0;", OtherService, ""},
		"Cosmos DB":                        {"AccountEndpoint=https://a.documents.azure.com:443/;AccountKey=" + key, OtherService, ""},
		"App Configuration":                {"Endpoint=https://a.azconfig.io;Id=x;Secret=" + key, OtherService, ""},
		"a database":                       {"Server=tcp:a;Initial Catalog=b", OtherService, ""},
		"Service Bus for Windows Server":   {plain + ";StsEndpoint=https://a:9355/ns;RuntimePort=9354", Retired, ""},
		"Access Control Service":           {"Endpoint=sb://" + host + "/;SharedSecretIssuer=owner;SharedSecretValue=" + key, Retired, ""},
		"empty endpoint":                   {withEndpoint(""), Empty, "Endpoint"},
		"empty key":                        {withKey(""), Empty, "SharedAccessKey"},
		"white space as key":               {withKey(" \t"), Empty, "SharedAccessKey"},
		"quotes around no key":             {withKey(`""`), Empty, "SharedAccessKey"},
		"empty name":                       {strings.Replace(plain, "=send", "=", 1), Empty, "SharedAccessKeyName"},
		"empty signature":                  {strings.Replace(signed, signature, "", 1), Empty, "SharedAccessSignature"},
		"variable as all":                  {"${EVENTHUBS_CONNECTION_STRING}", Unresolved, ""},
		"variable of PowerShell as all":    {"$env:CS", Unresolved, ""},
		"variable of Windows as all":       {"%CS%", Unresolved, ""},
		"variable of a pipeline as all":    {"$(CS)", Unresolved, ""},
		"Key Vault as all":                 {"@Microsoft.KeyVault(VaultName=v;SecretName=s)", Unresolved, ""},
		"Key Vault as all, by its address": {"@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/s/)", Unresolved, ""},
		"1Password as all":                 {"op://vault/item/field", Unresolved, ""},
		"a template as all":                {"{{ .Values.connectionString }}", Unresolved, ""},
		"an example as all":                {"<connection string>", Unresolved, ""},
		"null as all":                      {"null", Unresolved, ""},
		"Terraform's screen as all":        {"(sensitive value)", Unresolved, ""},
		"an example as key":                {withKey("<your key>"), Unresolved, "SharedAccessKey"},
		"our example as key":               {withKey("…"), Unresolved, "SharedAccessKey"},
		"variable as key":                  {withKey("${KEY}"), Unresolved, "SharedAccessKey"},
		"variable as an emulator's key":    {strings.Replace(emulated, "SAS_KEY_VALUE", "${KEY}", 1), Unresolved, "SharedAccessKey"},
		"stars as key":                     {withKey("********"), Unresolved, "SharedAccessKey"},
		"1Password as key":                 {withKey("op://vault/item/key"), Unresolved, "SharedAccessKey"},
		"a template in the endpoint":       {withEndpoint("sb://{{ns}}.servicebus.windows.net/"), Unresolved, "Endpoint"},
		"an example in the endpoint":       {withEndpoint("sb://<namespace>.servicebus.windows.net/"), Unresolved, "Endpoint"},
		"a variable as hub":                {plain + ";EntityPath=${HUB}", Unresolved, "EntityPath"},
		"a key for a URL":                  {withKey(strings.Replace(key, "=", "%3d", 1)), URLEncoded, "SharedAccessKey"},
		"a key with a decoded plus":        {withKey("c2Vj cmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ"), BlankInside, "SharedAccessKey"},
		"a key in two lines":               {withKey("c2VjcmV0LXNlY3JldC1z\nZWNyZXQtc2VjcmV0LTEyMzQ="), BlankInside, "SharedAccessKey"},
		"a key with an escape":             {withKey(key + `\n`), Backslash, "SharedAccessKey"},
		"a key with a quote behind":        {withKey(key + `"`), Quotes, "SharedAccessKey"},
		"a key outside ASCII":              {withKey("ключ"), NotVisible, "SharedAccessKey"},
		"a signature as key":               {withKey(signature), IsSignature, "SharedAccessKey"},
		"a key with a zero-width space":    {withKey(key[:20] + "\u200b" + key[20:]), BlankInside, "SharedAccessKey"},
		"a key as name":                    {strings.Replace(plain, "=send", "="+key, 1), Exchanged, "SharedAccessKeyName"},
		"a signature without word":         {strings.Replace(signed, "=SharedAccessSignature ", "=", 1), NoFirstWord, "SharedAccessSignature"},
		"a signature's word alone":         {strings.Replace(signed, signature, "SharedAccessSignature", 1), NoFirstWord, "SharedAccessSignature"},
		"a signature for HTML":             {strings.ReplaceAll(signed, "&", "&amp;"), HTMLEncoded, ""},
		"quotes for HTML":                  {"&quot;" + plain + "&quot;", HTMLEncoded, ""},
		"a signature that is cut":          {signed[:len(signed)-len("&skn=send")], BadSignature, "SharedAccessSignature"},
		"a signature for storage":          {strings.Replace(signed, signature, "SharedAccessSignature sv=2020&sig=x", 1), BadSignature, "SharedAccessSignature"},
		"a signature in two lines":         {strings.Replace(signed, "&se=", "&\nse=", 1), BlankInside, "SharedAccessSignature"},
		"a hub with a space":               {plain + ";EntityPath=my hub", BlankInside, "EntityPath"},
		"a hub with a slash":               {plain + ";EntityPath=a/b", NoHub, "EntityPath"},
		"a user in the endpoint":           {withEndpoint("sb://send:" + key + "@" + host + "/"), Userinfo, "Endpoint"},
		"AMQP's URL":                       {"amqps://send:c2VjcmV0@" + host + "/orders", Userinfo, ""},
		"a path in the endpoint":           {withEndpoint("sb://" + host + "/orders"), Path, "Endpoint"},
		"a query in the endpoint":          {withEndpoint("sb://" + host + "/?a=b"), Path, "Endpoint"},
		"no host in the endpoint":          {withEndpoint("sb://"), NoHost, "Endpoint"},
		"a broken host in the endpoint":    {withEndpoint("sb://a..b/"), NoHost, "Endpoint"},
		"an escape in the endpoint":        {withEndpoint("sb://%zz/"), NoHost, "Endpoint"},
		"a space in the endpoint":          {withEndpoint("sb://a b/"), BlankInside, "Endpoint"},
		"port 0":                           {withEndpoint("sb://a:0/"), BadPort, "Endpoint"},
		"port 65536":                       {withEndpoint("sb://a:65536/"), BadPort, "Endpoint"},
		"no port":                          {withEndpoint("sb://a:/"), BadPort, "Endpoint"},
		"Kafka's port":                     {withEndpoint("sb://" + host + ":9093"), KafkaPort, "Endpoint"},
		"Kafka's scheme":                   {withEndpoint("kafka://" + host), UnknownScheme, "Endpoint"},
		"amqp at the service":              {withEndpoint("amqp://" + host), SchemeWithoutTLS, "Endpoint"},
		"ws at the service":                {withEndpoint("ws://" + host), SchemeWithoutTLS, "Endpoint"},
		"http at the service":              {withEndpoint("http://" + host), SchemeWithoutTLS, "Endpoint"},
		"https at an emulator":             {strings.Replace(emulated, "sb://", "https://", 1), SchemeOfEmulator, "Endpoint"},
		"amqp at an emulator":              {strings.Replace(emulated, "sb://", "amqp://", 1), SchemeOfEmulator, "Endpoint"},
		"no scheme at an emulator":         {strings.Replace(emulated, "sb://", "", 1), SchemeOfEmulator, "Endpoint"},
		"the service as an emulator":       {plain + ";UseDevelopmentEmulator=true", EmulatorAtService, "Endpoint"},
		"an emulator of neither":           {plain + ";UseDevelopmentEmulator=yes", NotBool, "UseDevelopmentEmulator"},
		"a transport that is gone":         {plain + ";TransportType=NetMessaging", UnknownTransport, "TransportType"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Parse(test.text)
			e, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("%q is taken, as %s", test.text, said(s))
			}
			if e.Reason != test.reason || e.Of+e.Keyword != test.about {
				t.Errorf("%q\n got reason %d about %q: %v\nwant reason %d about %q: %v", test.text, e.Reason, e.Of+e.Keyword, err, test.reason, test.about, texts[test.reason])
			}
			if strings.Contains(err.Error(), key[:8]) {
				t.Errorf("the key is shown: %v", err)
			}
		})
	}
}

func TestAValueByItselfIsTakenAsItIsOrRefused(t *testing.T) {
	namespace := func(text string) error { _, _, err := Namespace(text); return err }
	for _, test := range []struct {
		what   string
		check  func(string) error
		text   string
		reason Reason
	}{
		{"namespace", namespace, host, Fine},
		{"namespace", namespace, "LOCALHOST:1", Fine},
		{"namespace", namespace, "::1", Fine},
		{"namespace", namespace, "[::1]:5671", Fine},
		{"namespace", namespace, "", Empty},
		{"namespace", namespace, host + "\n", BlankAround},
		{"namespace", namespace, "\u00a0" + host, BlankAround},
		{"namespace", namespace, "a b", BlankInside},
		{"namespace", namespace, `"` + host + `"`, Quotes},
		{"namespace", namespace, "https://" + host + ":443/", URL},
		{"namespace", namespace, "sb://" + host, URL},
		{"namespace", namespace, "sb://user:word@" + host, Userinfo},
		{"namespace", namespace, host + "/", Path},
		{"namespace", namespace, host + "/orders", Path},
		{"namespace", namespace, host + ":9093", KafkaPort},
		{"namespace", namespace, "hub.azure-devices.net", IoTHub},
		{"namespace", namespace, "a.blob.core.windows.net", Storage},
		{"namespace", namespace, "<namespace>.servicebus.windows.net", Unresolved},
		{"namespace", namespace, "${NAMESPACE}", Unresolved},
		{"namespace", namespace, plain, WholeString},
		{"namespace", namespace, "Endpoint=sb://" + host, WholeString},
		{"namespace", namespace, "ns=", NoHost},
		{"namespace", namespace, strings.Repeat("a", 300), NoHost},
		{"custom endpoint", CheckDialable, "10.0.0.1:99", Fine},
		{"custom endpoint", CheckDialable, host + ":9093", Fine}, // any server
		{"custom endpoint", CheckDialable, "10.0.0.1:99\n", BlankAround},
		{"custom endpoint", CheckDialable, "https://gateway", URL},
		{"custom endpoint", CheckDialable, "gateway/path", Path},
		{"custom endpoint", CheckDialable, "u:p@gateway", Userinfo},
		{"custom endpoint", CheckDialable, "gateway:port", BadPort},
		{"custom endpoint", CheckDialable, "$GATEWAY", Unresolved},
		{"hub", CheckHub, "my-hub_1.a", Fine},
		{"hub", CheckHub, "", Empty},
		{"hub", CheckHub, "hub\n", BlankAround},
		{"hub", CheckHub, `"hub"`, Quotes},
		{"hub", CheckHub, "<hub>", Unresolved},
		{"hub", CheckHub, "a/b", NoHub},
		{"hub", CheckHub, "$Default", Unresolved},
		{"hub", CheckHub, "hübe", NoHub},
		{"hub", CheckHub, strings.Repeat("a", 257), NoHub},
		{"hub", CheckHub, plain, WholeString},
		{"key name", CheckKeyName, "Root-1_2.3", Fine},
		{"key name", CheckKeyName, "", Empty},
		{"key name", CheckKeyName, "Root\n", BlankAround},
		{"key name", CheckKeyName, "'Root'", Quotes},
		{"key name", CheckKeyName, key, Exchanged},
		{"key name", CheckKeyName, "Ключ", NotVisible},
		{"key", CheckKey, key, Fine},
		{"key", CheckKey, "the old key", Fine}, // of an emulator
		{"key", CheckKey, "", Empty},
		{"key", CheckKey, " ", BlankAround},
		{"key", CheckKey, key + "\n", BlankAround},
		{"key", CheckKey, " " + key, BlankAround},
		{"key", CheckKey, `"` + key + `"`, Quotes},
		{"key", CheckKey, "SharedAccessKey=" + key, WholeString},
		{"key", CheckKey, plain, WholeString},
		{"key", CheckKey, signature, IsSignature},
		{"key", CheckKey, "@Microsoft.KeyVault(SecretUri=x)", Unresolved},
		{"signature", CheckSignature, signature, Fine},
		{"signature", CheckSignature, "", Empty},
		{"signature", CheckSignature, signature + "\n", BlankAround},
		{"signature", CheckSignature, `"` + signature + `"`, Quotes},
		{"signature", CheckSignature, strings.TrimPrefix(signature, signaturePrefix), NoFirstWord},
		{"signature", CheckSignature, key, NoFirstWord},
		{"signature", CheckSignature, strings.ReplaceAll(signature, "&", "&amp;"), HTMLEncoded},
		{"signature", CheckSignature, "SharedAccessSignature sr=x", BadSignature},
		{"signature", CheckSignature, strings.Replace(signature, "4000000000", "soon", 1), BadSignature},
		{"signature", CheckSignature, signature + ";EntityPath=x", WholeString},
	} {
		err := test.check(test.text)
		got := Fine
		if e, ok := errors.AsType[*Error](err); ok {
			got = e.Reason
		}
		if got != test.reason {
			t.Errorf("%s %q: got %q want %q", test.what, test.text, texts[got], texts[test.reason])
		}
	}
}

func TestEachReasonHasItsWords(t *testing.T) {
	for reason := Fine + 1; reason <= UnknownTransport; reason++ {
		if texts[reason] == "" {
			t.Errorf("reason %d has no text", reason)
		}
	}
}

func TestPrintingAStringShowsNoSecret(t *testing.T) {
	for _, text := range []string{plain, signed} {
		s, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
			if printed := fmt.Sprintf(format, s); strings.Contains(printed, "c2VjcmV0") {
				t.Errorf("%s shows the secret: %s", format, printed)
			}
		}
	}
}
