package producerhttp

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/go-eventhubs/eventhubs"
)

// The numbers of the text and of the page, as people read them.

// count is a whole number in groups of three digits: 1,234,567.
func count[T ~int | ~int64 | ~uint64](n T) string {
	digits := strconv.FormatInt(int64(n), 10)
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// size is a number of bytes: "1.5 MiB".
func size[T ~int | ~int64 | ~uint64 | ~float64](n T) string {
	x, unit := float64(n), 0
	units := [...]string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	for x >= 999.5 && unit < len(units)-1 {
		x, unit = x/1024, unit+1
	}
	if unit == 0 {
		return fmt.Sprintf("%.0f B", x)
	}
	return fmt.Sprintf("%.1f %s", x, units[unit])
}

// perSecond is a number per second: exact when small, in groups when large.
func perSecond(x float64) string {
	switch {
	case x == 0:
		return "0"
	case x < 0.01:
		return "< 0.01"
	case x < 10:
		return strconv.FormatFloat(math.Round(x*100)/100, 'f', -1, 64)
	}
	return count(int64(math.Round(x)))
}

// span is a time: two units at most, such as "2m 10s", and "0s" for less than a millisecond.
func span(d time.Duration) string {
	switch d = max(0, d); {
	case d < time.Second:
		return d.Truncate(time.Millisecond).String()
	case d < 10*time.Second:
		return d.Truncate(100 * time.Millisecond).String()
	case d < time.Minute:
		return d.Truncate(time.Second).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm %ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh %dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd %dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

// seconds is the time that a rate covers: "1 min", "15 min", or for example "2m 10s".
func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	if d >= time.Minute && d%time.Minute == 0 {
		return strconv.Itoa(int(d/time.Minute)) + " min"
	}
	return span(d)
}

// percent is a part of a whole as a number from 0 to 100.
func percent[T ~int | ~int64](part, whole T) int {
	if whole <= 0 {
		return 0
	}
	return int(max(0, min(100, 100*float64(part)/float64(whole))))
}

// partitionName is the id of a partition, or the name of the events that have none.
func partitionName(p eventhubs.PartitionStats) string {
	switch {
	case p.ID != "":
		return p.ID
	case p.Waiting == eventhubs.WaitingForList:
		return "not known yet"
	}
	return "any"
}

// ids is a list of partition ids, of which the empty one stands for those that the service chooses.
func ids(list []string) string {
	names := make([]string, len(list))
	for i, id := range list {
		if names[i] = id; id == "" {
			names[i] = "any"
		}
	}
	return strings.Join(names, ", ")
}

// oneLine is a text without line breaks and other control characters: texts of errors come from
// anywhere.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

// ago is how long before now a time was. It is empty for the zero time.
func ago(now, at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return span(now.Sub(at))
}

// plural is a number with its noun.
func plural[T ~int | ~uint64](n T, one string) string { return count(n) + " " + noun(n, one) }

// noun is the noun of a number.
func noun[T ~int | ~uint64](n T, one string) string {
	if n == 1 {
		return one
	}
	return one + "s"
}
