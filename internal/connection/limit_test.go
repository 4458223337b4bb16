package connection

import "testing"

func TestTheLimitIsReadFromTheServicesText(t *testing.T) {
	for _, c := range []struct {
		description string
		want        int
	}{
		{"The received message (delivery-id:0, size:262412 bytes) exceeds the limit (262144 bytes) currently allowed on the link.", 262144},
		{"the limit of 1000 bytes is exceeded", 1000},
		{"The limit is 1 bytes", 1},
		{"LIMIT 20 BYTES", 20},
		{"size:262412 bytes", 0},
		{"the limit (262144) is exceeded", 0},
		{"the limit (2 kilobytes)", 0},
		{"unlimit 5 bytes", 0},
		{"the limit (0 bytes)", 0},
		{"", 0},
	} {
		if got := statedLimit(c.description); got != c.want {
			t.Errorf("%q states a limit of %d, want %d", c.description, got, c.want)
		}
	}
}

func FuzzStatedLimit(f *testing.F) {
	f.Add("exceeds the limit (262144 bytes) currently allowed")
	f.Add("limit 999999999999999999 bytes")
	f.Fuzz(func(t *testing.T, description string) {
		if got := statedLimit(description); got < 0 {
			t.Errorf("%q states a limit of %d", description, got)
		}
	})
}
