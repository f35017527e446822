package stamp

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the .want.eml files anew, to be looked at before they are committed")

// Each case is a mail, what becomes of it, and the verdict: testdata/NN-name.eml, .want.eml, .verdict.
func TestMailsInFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/[0-9]*.eml")
	if err != nil {
		t.Fatal(err)
	}
	cases := 0
	for _, path := range files {
		if strings.HasSuffix(path, ".want.eml") {
			continue
		}
		cases++
		t.Run(strings.TrimSuffix(filepath.Base(path), ".eml"), func(t *testing.T) {
			t.Parallel()
			in, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			s := put(t, in, aCard())
			stem := strings.TrimSuffix(path, ".eml")
			for file, got := range map[string]string{stem + ".want.eml": string(s.out), stem + ".verdict": s.Verdict.String() + "\n"} {
				if *update {
					if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if got != string(want) {
					t.Errorf("%s:\n%s\nwant:\n%s", file, got, want)
				}
			}
		})
	}
	if cases < 20 {
		t.Errorf("only %d cases", cases)
	}
}
