package certify

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata anew")

var report = &Report{
	Addr: "127.0.0.1:11211", Version: "1.6.45",
	Results: []Result{
		{Group: "text", Name: "version", Verdict: Pass},
		{Group: "text", Name: "set noreply", Verdict: Fail, Why: "the connection is out of step after the check", Failure: &Failure{
			Line: 12, Sent: `version\r\n`, Expected: `VERSION {~}\r\n`, Received: `STORED\r\nVERSION 1.6.45\r\n`, Difference: "differs at byte 1",
		}},
		{Group: "meta", Name: "ms E gives the CAS", Verdict: NotSupported, Why: "memcached answers so by 1.6.27", Failure: &Failure{}},
		{Group: "flash", Name: "append", Verdict: Fail, Failure: &Failure{
			Line: 99, Sent: `append k 0 0 1\r\na\r\n`, Expected: `STORED\r\n`, Received: `NOT_STORED\r\n`, Difference: "differs at byte 1",
		}},
	},
}

// TestTable compares the table with the one kept.
func TestTable(t *testing.T) {
	var b strings.Builder
	for _, r := range report.Results {
		if err := PrintResult(&b, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := report.PrintSummary(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/table.txt", b.String())
}

// TestJSON: programs read the names of the fields.
func TestJSON(t *testing.T) {
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/report.json", string(text)+"\n")
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil || string(want) != got {
		t.Errorf("%v, got\n%s\nwant\n%s", err, got, want)
	}
}
