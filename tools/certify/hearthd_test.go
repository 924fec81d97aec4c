package certify

import (
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// TestHearthdPasses: hearthd keeps to the protocol, whether its values are in
// RAM, on flash, or on flash with copies in RAM.
func TestHearthdPasses(t *testing.T) {
	t.Parallel()
	hearthd := filepath.Join(t.TempDir(), "hearthd")
	if out, err := exec.Command("go", "build", "-o", hearthd, "../../cmd/hearthd").CombinedOutput(); err != nil {
		t.Fatalf("build hearthd: %v\n%s", err, out)
	}
	flash := func(options string) []string {
		path := "ext_path=" + filepath.Join(t.TempDir(), "flash") + ":1g,"
		return []string{"-m", "16", "-o", path + "ext_page_size=4,ext_wbuf_size=1," + options}
	}
	var runs sync.WaitGroup
	defer runs.Wait()
	for _, setting := range []struct {
		args   []string
		groups []string
	}{
		{[]string{"-m", "64"}, []string{"text", "meta", "binary"}},
		{flash("hot_percent=0"), groups},
		{flash("hot_percent=30"), []string{"flash"}},
	} {
		addr := start(t, hearthd, setting.args...)
		for _, group := range setting.groups { // at once, as they mostly wait
			runs.Go(func() { allPass(t, Options{Addr: addr, Groups: []string{group}}) })
		}
	}
}

// allPass fails the test unless all checks pass but those of flush_all.
func allPass(t *testing.T, o Options) {
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Error(err)
		return
	}
	for _, r := range report.Results {
		if r.Verdict != Pass && r.Why != notFlushed {
			t.Error(describe(t, r))
		}
	}
}
