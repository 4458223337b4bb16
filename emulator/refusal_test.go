package emulator

import (
	"regexp"
	"testing"
)

func TestRefusalsEndAsTheServicesTextsDo(t *testing.T) {
	r := refuse(conditionNotFound, textEntityNotFound, "sb://h/e")
	want := regexp.MustCompile(`^The messaging entity 'sb://h/e' could not be found\. TrackingId:[0-9a-f]{32}_G\d, SystemTracker:\S+, Timestamp:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$`)
	if !want.MatchString(r.text) {
		t.Errorf("text %q does not match %v", r.text, want)
	}
	if r.Error() != "amqp:not-found: "+r.text {
		t.Errorf("Error() = %q", r.Error())
	}
}

func TestConditionsHaveAStatus(t *testing.T) {
	for condition, want := range map[string]int32{
		"com.microsoft:argument-error": 400, "com.microsoft:argument-out-of-range": 400, "amqp:unauthorized-access": 401,
		"com.microsoft:auth-failed": 401, "amqp:resource-limit-exceeded": 403, "amqp:not-found": 404, "com.microsoft:timeout": 408,
		"amqp:link:stolen": 410, "amqp:internal-error": 500, "amqp:not-implemented": 501, "com.microsoft:server-busy": 503,
	} {
		if got := (&refusal{condition: condition}).status(); got != want {
			t.Errorf("status of %s is %d, want %d", condition, got, want)
		}
	}
}
