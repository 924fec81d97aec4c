package flashtier

import (
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hearthcache/hearth/ioq/ioqtest"
)

func TestComplaintsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tier Tier
		said := collect(&tier.opt)
		for range 100 {
			tier.complain("one", "err", "x")
			tier.complain("other", "err", "x")
		}
		if n := strings.Count(said.String(), "\n"); n != 2 {
			t.Errorf("%d lines\n%s", n, said)
		}
		time.Sleep(complainEvery)
		tier.complain("one", "err", "x")
		if !strings.Contains(said.String(), "not_logged=99") {
			t.Errorf("%s", said)
		}
	})
}

// TestFoldIsTriedAgain lets folds fail for a while: the journal is folded without
// anybody asking, once they succeed.
func TestFoldIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFaultyFS(syscall.EIO)
		o := testOptions(t, ioqtest.NewDisk(t, ioqtest.DiskOptions{}), 4)
		o.FS = f
		tier, items := stock(t, o, 0, 10, 2000)
		f.after.Store(0)
		for range tier.journal.n / 2 {
			tier.Touched(items[0].addr, testClock+7)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := tier.journal.used(); n != tier.journal.n/2 || tier.Stats().FoldErrors < 30 {
			t.Errorf("%d entries left, %d errors", n, tier.Stats().FoldErrors)
		}
		f.after.Store(1 << 62)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if n := tier.journal.used(); n != 0 {
			t.Errorf("%d entries left", n)
		}
		tier.Touched(items[0].addr, testClock+8) // less than a quarter
		time.Sleep(foldEvery)
		synctest.Wait()
		if n := tier.journal.used(); n != 0 {
			t.Errorf("%d entries left after %v", n, foldEvery)
		}
		stop(t, tier, true)
	})
}
