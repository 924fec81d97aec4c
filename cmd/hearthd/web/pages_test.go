package web

import (
	"testing"

	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/flashtier"
)

func TestCells(t *testing.T) {
	pages := []flashtier.PageStat{
		{State: flashtier.PageFree}, {State: flashtier.PageOpen, Bytes: 100}, {State: flashtier.PageDraining}, {State: flashtier.PageRetired},
		{State: flashtier.PageSealed}, {State: flashtier.PageSealed, Bytes: 50}, {State: flashtier.PageSealed, Bytes: 100},
	}
	if got, want := cells(pages, 100), "0134aip"; got != want {
		t.Errorf("%s, not %s", got, want)
	}
}

// TestFileOf: the pages of several devices are numbered through.
func TestFileOf(t *testing.T) {
	devices := []hearth.DeviceStats{{Dir: "/a"}, {Dir: "/b", FirstPage: 8}, {Dir: "/c", FirstPage: 20}, {Dir: "/away", State: hearth.DeviceAbsent}}
	for id, want := range map[flashtier.PageID]string{
		0: "/a/pages/00000000.page", 7: "/a/pages/00000007.page", 8: "/b/pages/00000000.page", 25: "/c/pages/00000005.page",
	} {
		if got := fileOf(devices, id); got != want {
			t.Errorf("page %d: %s, not %s", id, got, want)
		}
	}
}
