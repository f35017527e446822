package octets

import "testing"

func TestSizesAreReadAndWrittenAsPeopleDo(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int64{"0": 0, "1024": 1 << 10, "2GiB": 2 << 30, "2gib": 2 << 30, "500 MB": 500e6, "7B": 7} {
		n, err := Parse(in)
		if err != nil || n != want {
			t.Errorf("%q is %d, %v; want %d", in, n, err, want)
		}
		if again, err := Parse(String(n)); err != nil || again != n {
			t.Errorf("%d is written as %q, which is %d, %v", n, String(n), again, err)
		}
	}
	for _, in := range []string{"", "MiB", "-1MiB", "1.5GiB", "9223372036854775807KiB", "two", "1TiBs"} {
		if n, err := Parse(in); err == nil {
			t.Errorf("%q was taken for %d", in, n)
		}
	}
	if String(1536) != "1536" || String(3<<20) != "3MiB" {
		t.Errorf("1536 is %s, 3 MiB are %s", String(1536), String(3<<20))
	}
}

func TestSizesAreToldAboutInTheUnitsOfTheirLimits(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 octets", 1: "1 octet", 999: "999 octets", 1000: "1KiB", 9830: "9.6KiB", 10 << 10: "10KiB", 999 << 10: "999KiB", 1020 << 10: "1MiB", 2<<30 - 1: "2GiB", 3 << 40: "3072GiB"} {
		if got := About(n); got != want {
			t.Errorf("%d is about %s, want %s", n, got, want)
		}
	}
}
