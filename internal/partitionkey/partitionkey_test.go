package partitionkey

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

// TestHashAgreesWithTheOtherClients has the vectors of the .NET and JavaScript clients, and others
// computed with the JavaScript client.
func TestHashAgreesWithTheOtherClients(t *testing.T) {
	for _, v := range []struct {
		key  string
		want int16
	}{
		{"", 0},
		{"a", -16220},
		{"7", -15263},
		{"131", 30562},
		{"7149583486996073602", 12977},
		{"FWfAT", -22341},
		{"sOdeEAsyQoEuEFPGerWO", -6503},
		{"FAyAIctPeCgmiwLKbJcyswoHglHVjQdvtBowLACDNORsYvOcLddNJYDmhAVkbyLOrHTKLneMNcbgWVlasVywOByANjs", 5226},
		{"1XYM6!(7(lF5wq4k4m*e$Nc!1ezLJv*1YK1Y-C^*&B$O)lq^iUkG(TNzXG;Zi#z2Og*Qq0#^*k):vXh$3,C7We7%W0meJ;b3,rQCg^J;^twXgs5E$$hWKxqp", 23950},
		{"E(x;RRIaQcJs*P;D&jTPau-4K04oqr:lF6Z):ERpo&;9040qyV@G1_c9mgOs-8_8/10Fwa-7b7-yP!T-!IH&968)FWuI;(^g$2fN;)HJ^^yTn:", -29304},
		{"!c*_!I@1^c", 15372},
		{"p4*!jioeO/z-!-;w:dh", -3104},
		{"$0cb", 26269},
		{"-4189260826195535198", 453},
		{"alphabet", -23478},
		{"TheBestParitionEver", -29062},
		{"TheWorstParitionEver", -29251},
		{"abcdefghijkl", -2373},
		{"abcdefghijklm", -31855},
		{"abcdefghijklmnopqrstuvwxyz", -13397},
		{"device-1", 26788},
		{"device-42", -21548},
		{"ключ", -32174},
		{"🎉key", -11280},
	} {
		if got := Hash(v.key); got != v.want {
			t.Errorf("Hash(%q) = %d, want %d", v.key, got, v.want)
		}
	}
}

// TestLookup3AgreesWithItsAuthor has the check value published with lookup3.
func TestLookup3AgreesWithItsAuthor(t *testing.T) {
	c, b := lookup3("Four score and seven years ago")
	if c != 0x17770551 || b != 0xce7226e6 {
		t.Errorf("lookup3 = %08x %08x, want 17770551 ce7226e6", c, b)
	}
}

func TestIndexAgreesWithTheOtherClients(t *testing.T) {
	partitions := []int{2, 3, 4, 8, 16, 32}
	for _, v := range []struct {
		key  string
		want [6]int // for the numbers of partitions above
	}{
		{"", [6]int{}},
		{"7", [6]int{1, 2, 3, 7, 15, 31}},
		{"131", [6]int{0, 1, 2, 2, 2, 2}},
		{"7149583486996073602", [6]int{1, 2, 1, 1, 1, 17}},
		{"FWfAT", [6]int{1, 0, 1, 5, 5, 5}},
		{"sOdeEAsyQoEuEFPGerWO", [6]int{1, 2, 3, 7, 7, 7}},
		{"FAyAIctPeCgmiwLKbJcyswoHglHVjQdvtBowLACDNORsYvOcLddNJYDmhAVkbyLOrHTKLneMNcbgWVlasVywOByANjs", [6]int{0, 0, 2, 2, 10, 10}},
		{"1XYM6!(7(lF5wq4k4m*e$Nc!1ezLJv*1YK1Y-C^*&B$O)lq^iUkG(TNzXG;Zi#z2Og*Qq0#^*k):vXh$3,C7We7%W0meJ;b3,rQCg^J;^twXgs5E$$hWKxqp", [6]int{0, 1, 2, 6, 14, 14}},
		{"E(x;RRIaQcJs*P;D&jTPau-4K04oqr:lF6Z):ERpo&;9040qyV@G1_c9mgOs-8_8/10Fwa-7b7-yP!T-!IH&968)FWuI;(^g$2fN;)HJ^^yTn:", [6]int{0, 0, 0, 0, 8, 24}},
		{"!c*_!I@1^c", [6]int{0, 0, 0, 4, 12, 12}},
		{"p4*!jioeO/z-!-;w:dh", [6]int{0, 2, 0, 0, 0, 0}},
		{"$0cb", [6]int{1, 1, 1, 5, 13, 29}},
		{"-4189260826195535198", [6]int{1, 0, 1, 5, 5, 5}},
	} {
		for i, count := range partitions {
			if got := Index(v.key, count); got != v.want[i] {
				t.Errorf("Index(%q, %d) = %d, want %d", v.key, count, got, v.want[i])
			}
		}
	}
	for _, v := range []struct {
		key        string
		partitions int
		want       int
	}{
		{"alphabet", 3, 0}, {"alphabet", 11, 4}, {"TheBestParitionEver", 4, 2}, {"TheWorstParitionEver", 15, 1},
		{"a", 32, 28}, {"abcdefghijkl", 32, 5}, {"abcdefghijklm", 32, 15}, {"abcdefghijklmnopqrstuvwxyz", 32, 21},
		{"device-1", 32, 4}, {"device-42", 32, 12}, {"ключ", 32, 14}, {"🎉key", 32, 16},
	} {
		if got := Index(v.key, v.partitions); got != v.want {
			t.Errorf("Index(%q, %d) = %d, want %d", v.key, v.partitions, got, v.want)
		}
	}
}

// TestKeysSpreadEvenlyOverPartitions bounds each partition's share: with 64,000 keys over 32
// partitions a fair hash stays within a fifth of 2,000.
func TestKeysSpreadEvenlyOverPartitions(t *testing.T) {
	const keys, partitions = 64_000, 32
	var counts [partitions]int
	for i := range keys {
		counts[Index(fmt.Sprintf("device-%d", i), partitions)]++
	}
	for p, n := range counts {
		if n < 1600 || n > 2400 {
			t.Errorf("partition %d has %d of %d keys, want about %d", p, n, keys, keys/partitions)
		}
	}
}

func TestIndexIsWithinTheListForEveryCount(t *testing.T) {
	for count := 1; count <= 2000; count++ {
		for _, key := range []string{"", "a", "7", "131", "ключ"} {
			if got := Index(key, count); got < 0 || got >= count {
				t.Fatalf("Index(%q, %d) = %d, out of range", key, count, got)
			}
		}
	}
}

func TestIndexRefusesAnEmptyList(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Index with no partition did not panic")
		}
	}()
	Index("key", 0)
}

func TestHashAllocatesNothing(t *testing.T) {
	key := strings.Repeat("k", 128)
	if n := testing.AllocsPerRun(100, func() { Hash(key) }); n != 0 {
		t.Errorf("Hash allocates %v times, want 0", n)
	}
}

func BenchmarkIndex(b *testing.B) {
	for _, size := range []int{8, 36, 128} {
		key := strings.Repeat("k", size)
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Index(key, 32)
			}
		})
	}
}

// The lengths are those of .NET's, Java's and JavaScript's strings.
func TestALengthIsCountedInUTF16(t *testing.T) {
	const astral = "\U0001F30B" // two units, four bytes
	for _, v := range []struct {
		key   string
		units int
	}{
		{"", 0},
		{strings.Repeat("a", 127), 127}, {strings.Repeat("a", 128), 128}, {strings.Repeat("a", 129), 129},
		{strings.Repeat("é", 128), 128}, {strings.Repeat("é", 129), 129},
		{strings.Repeat("字", 128), 128}, {strings.Repeat("字", 129), 129},
		{strings.Repeat("\ufffd", 128), 128}, {strings.Repeat("\ufffd", 129), 129}, // the replacement for bad bytes is itself a character
		{strings.Repeat("\uffff", 128), 128}, {strings.Repeat("\U00010000", 64), 128},
		{strings.Repeat(astral, 63) + "a", 127}, {strings.Repeat(astral, 64), 128}, {strings.Repeat(astral, 64) + "a", 129}, {"a" + strings.Repeat(astral, 64), 129},
		{strings.Repeat(astral, 128), 256},
	} {
		if got := len(utf16.Encode([]rune(v.key))); got != v.units {
			t.Fatalf("the test counts %d units in %q, the library %d", v.units, v.key, got)
		}
		err := Check(v.key)
		if (err != nil) != (v.units > 128) {
			t.Errorf("Check of %d units is %v", v.units, err)
		}
		if want := fmt.Sprintf("has %d characters", v.units); err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("Check of %d units is %v, want %q in it", v.units, err, want)
		}
	}
}

func TestAKeyThatIsNoTextIsRefused(t *testing.T) {
	for _, key := range []string{"\xff", "a\xc3", "\xed\xa0\x80", "\xf0\x9f\x8c", strings.Repeat("字", 128) + "\xff", strings.Repeat("a", 128) + "\xff", strings.Repeat("\xff", 200)} {
		if err := Check(key); err == nil || !strings.Contains(err.Error(), "not valid UTF-8") {
			t.Errorf("Check(%q) is %v, want that it is not valid UTF-8", key, err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, key := range []string{"", "key", strings.Repeat("🎉", 64), strings.Repeat("🎉", 65), "\xff", "\ufffd"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		fits := utf8.ValidString(key) && len(utf16.Encode([]rune(key))) <= MaxLength
		if err := Check(key); (err == nil) != fits {
			t.Errorf("Check(%q) is %v", key, err)
		}
	})
}
