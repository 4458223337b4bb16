package connectionstring

import (
	"slices"
	"strings"
)

// The keywords of a connection string of Event Hubs. Case does not matter.
const (
	keyEndpoint      = "Endpoint"
	keyKeyName       = "SharedAccessKeyName"
	keyKey           = "SharedAccessKey"
	keySignature     = "SharedAccessSignature"
	keyEntityPath    = "EntityPath"
	keyEmulator      = "UseDevelopmentEmulator"
	keyTransportType = "TransportType"

	// Keywords of other clients, which a producer does not use.
	keyOperationTimeout = "OperationTimeout" // .NET's former builder always writes it
	keyConsumerGroup    = "ConsumerGroup"    // Aspire
)

// keywords are all of them.
var keywords = []string{keyEndpoint, keyKeyName, keyKey, keySignature, keyEntityPath, keyEmulator, keyTransportType, keyOperationTimeout, keyConsumerGroup}

// required are the keywords for which an empty value counts as missing. The others may be empty, as
// in templates.
var required = []string{keyEndpoint, keyKeyName, keyKey, keySignature}

// foreign are keywords of other kinds of strings, in lower case.
var foreign = map[string]Reason{
	"hostname":        IoTHub,
	"gatewayhostname": IoTHub,
	"deviceid":        IoTHub,
	"moduleid":        IoTHub,

	"accountname":              Storage,
	"accountkey":               Storage,
	"defaultendpointsprotocol": Storage,
	"endpointsuffix":           Storage,
	"blobendpoint":             Storage,
	"queueendpoint":            Storage,
	"tableendpoint":            Storage,
	"fileendpoint":             Storage,
	"usedevelopmentstorage":    Storage,

	"accountendpoint":    OtherService, // Cosmos DB
	"accesskey":          OtherService, // SignalR, Web PubSub, Communication Services
	"id":                 OtherService, // App Configuration
	"secret":             OtherService, // the same
	"instrumentationkey": OtherService, // Application Insights
	"ingestionendpoint":  OtherService, // the same
	"server":             OtherService, // databases
	"datasource":         OtherService,
	"initialcatalog":     OtherService,
	"bootstrapservers":   OtherService, // Kafka

	"authentication":          Identity,
	"fullyqualifiednamespace": Identity,

	"sharedsecretissuer": Retired, // Access Control Service
	"sharedsecretvalue":  Retired,
	"stsendpoint":        Retired, // Service Bus for Windows Server
	"runtimeport":        Retired,
	"managementport":     Retired,
}

// betweenWords removes the separators between a keyword's words.
var betweenWords = strings.NewReplacer(" ", "", "_", "", "-", "", ".", "")

// plainKeyword is a keyword in lower case and in one word.
func plainKeyword(text string) string { return betweenWords.Replace(strings.ToLower(text)) }

// lookUp finds a keyword, ignoring case; empty if it is not one of ours.
func lookUp(text string) string {
	for _, k := range keywords {
		if strings.EqualFold(k, text) {
			return k
		}
	}
	return ""
}

// collect sorts the parts by keyword, and refuses contradictions.
func collect(parts []part) (values, error) {
	for _, p := range parts { // first of all, since it explains all other faults
		if reason := foreign[plainKeyword(p.keyword)]; reason != Fine {
			return nil, &Error{Reason: reason}
		}
	}
	v := values{}
	for _, p := range parts {
		keyword := lookUp(p.keyword)
		if keyword == "" {
			if err := p.unknown(); err != nil {
				return nil, err
			}
			continue
		}
		if glued := keywordIn(p.value); glued != "" {
			return nil, &Error{Reason: Glued, Keyword: glued}
		}
		if p.value == "" {
			if slices.Contains(required, keyword) {
				return nil, faultOf(keyword, Empty)
			}
			continue
		}
		if before, seen := v[keyword]; seen && !sameValue(keyword, before, p.value) {
			return nil, &Error{Reason: Contradiction, Keyword: keyword}
		}
		v[keyword] = p.value
	}
	return v, nil
}

// sameValue reports whether two values of a keyword mean the same.
func sameValue(keyword, a, b string) bool {
	switch keyword {
	case keyEndpoint:
		one, wrong := parseEndpoint(a, false)
		other, alsoWrong := parseEndpoint(b, false)
		return wrong == Fine && alsoWrong == Fine && one.authority() == other.authority() && one.webSocket == other.webSocket || a == b
	case keyEntityPath, keyEmulator, keyTransportType:
		return strings.EqualFold(a, b)
	default:
		return a == b
	}
}

// unknown reports a part with an unknown keyword if it is a mistake. Other unknown keywords may
// have a meaning for other programs and are ignored, as the service's own clients do.
func (p part) unknown() error {
	plain := plainKeyword(p.keyword)
	for _, k := range keywords {
		lower := strings.ToLower(k)
		switch front, found := strings.CutSuffix(strings.ToLower(p.keyword), lower); {
		case beginsWith(p.value, k): // VARIABLE=Endpoint=sb://…
			return &Error{Reason: InFront, Keyword: k}
		case found && front != "" && !isAlphanumeric(rune(front[len(front)-1])) && !strings.HasSuffix(front, "_"): // connectionString: Endpoint=sb://…
			return &Error{Reason: InFront, Keyword: k}
		case len(plain) < 2*len(lower) && distance(plain, lower) <= 2:
			return &Error{Reason: Nearly, Keyword: k}
		}
	}
	if p.value == "" || strings.ContainsFunc(p.keyword, func(r rune) bool { return !isWord(r) }) {
		return &Error{Reason: Malformed}
	}
	return nil
}

// isWord reports whether a keyword may contain the character.
func isWord(r rune) bool {
	return r == ' ' || r == '_' || r == '-' || r == '.' || isAlphanumeric(r)
}

func isAlphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// beginsWith reports whether a text begins with a keyword and an equals sign.
func beginsWith(text, keyword string) bool {
	if len(text) < len(keyword) || !strings.EqualFold(text[:len(keyword)], keyword) {
		return false
	}
	return strings.HasPrefix(strings.TrimLeftFunc(text[len(keyword):], isBlank), "=")
}

// keywordIn finds a keyword with an equals sign inside a value, where a semicolon is missing.
func keywordIn(text string) string {
	lower := strings.ToLower(text)
	if len(lower) != len(text) {
		return "" // a letter outside ASCII: reading the value will refuse it
	}
	found, at := "", len(text)
	for _, k := range keywords {
		for i := 0; i < at; i++ {
			next := strings.Index(lower[i:at], strings.ToLower(k))
			if next < 0 {
				break
			}
			if i += next; beginsWith(text[i:], k) {
				found, at = k, i
			}
		}
	}
	return found
}

// distance is how many characters must be inserted, deleted or changed to turn one text into the
// other.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
