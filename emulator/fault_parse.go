package emulator

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxFaultRule     = 4096 // bytes of a rule's String
	seedField        = 26   // bytes of the longest seed with its name
	maxFaultDuration = 365 * 24 * time.Hour
	maxFaultCount    = 1_000_000_000
)

// A FaultRuleError says why a text is no [FaultRule], or why a server cannot take the rule.
type FaultRuleError struct {
	// Field is the name of the wrong field: one of [FaultRule], "fault" for the rule's first word,
	// or the unknown name that the text has.
	Field string
	// Value of the field in the text.
	Value string
	// Problem is what is wrong with it and what to do.
	Problem string
}

func (e *FaultRuleError) Error() string {
	return fmt.Sprintf("fault rule: %s is %s: %s", e.Field, strconv.Quote(e.Value), e.Problem)
}

// wrong makes a FaultRuleError.
func wrong(field, value, format string, args ...any) *FaultRuleError {
	return &FaultRuleError{Field: field, Value: value, Problem: fmt.Sprintf(format, args...)}
}

// ParseFaultRule reads a rule; see [FaultRule]. The error is a [*FaultRuleError].
func ParseFaultRule(text string) (FaultRule, error) {
	rule, err := parseFaultRule(text)
	if err != nil {
		return FaultRule{}, err
	}
	return rule, nil
}

func parseFaultRule(text string) (FaultRule, *FaultRuleError) {
	var r FaultRule
	if len(text) > 2*maxFaultRule {
		return r, tooLong(text)
	}
	if !utf8.ValidString(text) {
		return r, wrong(fieldFault, strings.ToValidUTF8(text, "\uFFFD"), "a rule must be UTF-8")
	}
	name, rest := nextWord(text)
	if r.kind = faultKindOf(name); r.kind == nil {
		return r, wrong(fieldFault, name, "a rule begins with its fault, one of %s", strings.Join(FaultKinds(), ", "))
	}
	seen := make(map[string]string)
	for {
		field, value, more, err := nextField(&rest)
		if err != nil {
			return r, err
		}
		if !more {
			break
		}
		if before, twice := seen[field]; twice {
			return r, wrong(field, value, "the field is given twice, first as %q: give it once", before)
		}
		seen[field] = value
		if err := r.set(field, value); err != nil {
			return r, err
		}
	}
	if len(r.on) == 0 {
		r.on = r.kind.on[:1:1]
	}
	if err := r.check(seen); err != nil {
		return r, err
	}
	length := len(r.String())
	if r.share != 0 && !r.seeded {
		length += seedField // which AddFault adds
	}
	if length > maxFaultRule {
		return r, tooLong(text)
	}
	return r, nil
}

// tooLong refuses a rule for its length.
func tooLong(text string) *FaultRuleError {
	return wrong(fieldFault, strings.ToValidUTF8(text[:20], "")+"…", "the rule is too long: it has at most %d bytes", maxFaultRule)
}

// nextWord cuts the first word off a text.
func nextWord(text string) (word, rest string) {
	text = strings.TrimLeftFunc(text, unicode.IsSpace)
	i := strings.IndexFunc(text, unicode.IsSpace)
	if i < 0 {
		return text, ""
	}
	return text[:i], text[i:]
}

// nextField cuts the first field off rest; more is false at the end.
func nextField(rest *string) (field, value string, more bool, err *FaultRuleError) {
	text := strings.TrimLeftFunc(*rest, unicode.IsSpace)
	if text == "" {
		*rest = ""
		return "", "", false, nil
	}
	word, after := nextWord(text)
	field, value, ok := strings.Cut(word, "=")
	if !ok {
		return "", "", false, wrong(word, "", "want FIELD=VALUE, such as hub=orders; a value with spaces stands in double quotes")
	}
	if !strings.HasPrefix(value, `"`) {
		*rest = after
		return field, value, true, nil
	}
	value, after, ok = unquoted(text[len(field)+2:])
	if !ok {
		return "", "", false, wrong(field, text[len(field)+1:], `the value begins with a double quote and must end with one before a space; inside it \" and \\ stand for " and \`)
	}
	*rest = after
	return field, value, true, nil
}

// unquoted reads a value up to the double quote that ends it.
func unquoted(text string) (value, rest string, ok bool) {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			rest = text[i+1:]
			first, _ := utf8.DecodeRuneInString(rest)
			return out.String(), rest, rest == "" || unicode.IsSpace(first)
		case c == '\\' && i+1 < len(text) && (text[i+1] == '"' || text[i+1] == '\\'):
			i++
			out.WriteByte(text[i])
		case c == '\\':
			return "", "", false
		default:
			out.WriteByte(c)
		}
	}
	return "", "", false
}

// set reads the value of one field.
func (r *FaultRule) set(field, value string) *FaultRuleError {
	if value == "" {
		return wrong(field, value, "the value is empty: give one, or leave the field out")
	}
	var err *FaultRuleError
	switch field {
	case fieldOn:
		r.on, err = r.kind.parseOn(value)
	case fieldHub:
		r.hub = value
		if checkName("", field, value, maxHubName) != nil {
			err = wrong(field, value, "a hub's name has at most %d letters, digits and . _ - /", maxHubName)
		}
	case fieldPartition:
		r.partition, err = parsePartitions(value)
	case fieldGroup:
		r.group = value
		if !strings.EqualFold(value, DefaultConsumerGroup) && (strings.Contains(value, "/") || checkName("", field, value, maxConsumerGroup) != nil) {
			err = wrong(field, value, "a consumer group's name is %s, or has at most %d letters, digits and . _ -", DefaultConsumerGroup, maxConsumerGroup)
		}
	case fieldRole:
		r.role = value
		if value != roleSender && value != roleReceiver {
			err = wrong(field, value, "want sender or receiver")
		}
	case fieldCondition:
		r.condition, err = value, checkCondition(value)
	case fieldText:
		r.text = value
		if strings.ContainsFunc(value, unicode.IsControl) {
			err = wrong(field, value, "the text must be one line without control characters")
		}
	case fieldStatus:
		r.status, err = parseCount(field, value, 400, 599)
	case fieldLasting:
		r.lasting, err = parseLength(field, value)
	case fieldShare:
		r.share, err = parseShare(value)
	case fieldEvery:
		r.every, err = parseCount(field, value, 1, maxFaultCount)
	case fieldSeed:
		err = r.setSeed(value)
	case fieldFrom:
		r.from, err = parseLength(field, value)
	case fieldFor:
		r.lifetime, err = parseLength(field, value)
	case fieldCount:
		r.count, err = parseCount(field, value, 1, maxFaultCount)
	default:
		err = wrong(field, value, "there is no such field: use %s", strings.Join(faultFields, ", "))
	}
	return err
}

// faultFields are the names of all fields, in the order in which a rule prints them.
var faultFields = []string{
	fieldOn, fieldHub, fieldPartition, fieldGroup, fieldRole, fieldCondition, fieldText, fieldStatus, fieldLasting, fieldShare, fieldEvery,
	fieldSeed, fieldFrom, fieldFor, fieldCount,
}

// parseOn reads a list of kinds of operations.
func (k *faultKind) parseOn(value string) ([]Kind, *FaultRuleError) {
	var on []Kind
	for name := range strings.SplitSeq(value, ",") {
		i := slices.Index(kindNames, name)
		if i <= 0 || !slices.Contains(k.on, Kind(i)) {
			return nil, wrong(fieldOn, value, "the fault %s can happen on %s, or on several with commas between them", k.name, k.onNames())
		}
		on = append(on, Kind(i))
	}
	slices.Sort(on)
	return slices.Compact(on), nil
}

// parsePartitions reads a list of partition ids.
func parsePartitions(value string) ([]string, *FaultRuleError) {
	var numbers []int
	for id := range strings.SplitSeq(value, ",") {
		n, err := strconv.Atoi(id)
		if err != nil || strconv.Itoa(n) != id || n < 0 || n >= maxPartitions {
			return nil, wrong(fieldPartition, value, "want a partition's id, a number from 0, or several with commas between them, such as 0,3")
		}
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	var ids []string
	for _, n := range slices.Compact(numbers) {
		ids = append(ids, strconv.Itoa(n))
	}
	return ids, nil
}

// checkCondition refuses conditions that are no AMQP symbols.
func checkCondition(value string) *FaultRuleError {
	if len(value) > 255 || strings.ContainsFunc(value, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return wrong(fieldCondition, value, "want an AMQP error condition, such as com.microsoft:server-busy: at most 255 ASCII characters without spaces")
	}
	return nil
}

func parseCount(field, value string, least, most int) (int, *FaultRuleError) {
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		return 0, wrong(field, value, "want a whole number from %d to %d", least, most)
	}
	return n, nil
}

func parseLength(field, value string) (time.Duration, *FaultRuleError) {
	d, err := time.ParseDuration(value)
	if err != nil || d <= 0 || d > maxFaultDuration {
		return 0, wrong(field, value, "want a duration above 0 with its unit, such as 500ms, 10s or 5m, at most a year")
	}
	return d, nil
}

func parseShare(value string) (float64, *FaultRuleError) {
	digits, percent := strings.CutSuffix(value, "%")
	share, err := strconv.ParseFloat(digits, 64)
	if !percent || err != nil || !(share > 0 && share <= 100) { // false for NaN
		return 0, wrong(fieldShare, value, "want a percentage above 0%% and at most 100%%, such as 10%%")
	}
	return share, nil
}

func (r *FaultRule) setSeed(value string) *FaultRuleError {
	seed, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		return wrong(fieldSeed, value, "want a whole number from 0 to 18446744073709551615")
	}
	r.seed, r.seeded = seed, true
	return nil
}

// check refuses fields that do not fit the fault or each other. seen are the given fields.
func (r *FaultRule) check(seen map[string]string) *FaultRuleError {
	for _, field := range []string{fieldCondition, fieldText, fieldStatus, fieldLasting} {
		if value, given := seen[field]; given && !slices.Contains(r.kind.fields, field) {
			return wrong(field, value, "leave it out: %s", r.kind.takes())
		}
	}
	if field := r.kind.required; field != "" && seen[field] == "" {
		return wrong(field, "", "the fault %s needs it: give %s", r.kind.name, faultExamples[field])
	}
	have := func(kinds ...Kind) bool {
		return slices.ContainsFunc(r.on, func(kind Kind) bool { return slices.Contains(kinds, kind) })
	}
	for _, field := range []string{fieldHub, fieldPartition, fieldGroup} {
		if value, given := seen[field]; given && have(KindConnection) {
			return wrong(field, value, "leave it out with on=connection: a new connection belongs to no hub yet")
		}
	}
	switch {
	case r.group != "" && have(KindTransfer, KindManagement):
		return wrong(fieldGroup, r.group, "give on=attach, on=put-token or on=delivery: only those operations have a consumer group")
	case r.role != "" && !have(KindAttach):
		return wrong(fieldRole, r.role, "give on=attach, or leave it out: only an attach has a role")
	case r.role != "" && r.kind.role != "" && r.role != r.kind.role:
		return wrong(fieldRole, r.role, "leave it out: the fault %s happens to a %s", r.kind.name, r.kind.role)
	case r.status != 0 && !have(KindPutToken, KindManagement):
		return wrong(fieldStatus, seen[fieldStatus], "give on=put-token or on=management, or leave it out: only those answers have a status")
	case r.share != 0 && r.every != 0:
		return wrong(fieldEvery, seen[fieldEvery], "give share or every, not both")
	case r.seeded && r.share == 0:
		return wrong(fieldSeed, seen[fieldSeed], "give share too, or leave it out: without share nothing is random")
	}
	if r.kind.role != "" && have(KindAttach) {
		r.role = r.kind.role
	}
	return nil
}

// faultExamples are values of the fields that some faults need.
var faultExamples = map[string]string{
	fieldCondition: "condition=amqp:internal-error, for example",
	fieldLasting:   "lasting=2s, for example",
}
