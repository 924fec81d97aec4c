package flashtier

import (
	"fmt"
	"slices"
)

// Victim is a page that is to be freed: Pick gives it, Forget takes it from the
// catalog and from readers, Free makes it space. What is alive in it can be moved
// elsewhere between Pick and Forget.
type Victim struct {
	ID     PageID
	Bucket uint8
	// Lifeless says that every record is dead or past its time, as far as is
	// known: an exptime that was changed to an earlier one is not.
	Lifeless bool
	Retired  bool  // by reads: nothing can be read from it any more
	Live     int64 // bytes of the records that are alive, by their classes
}

// Pick takes the page to be reclaimed next, so that nobody else gets it: one that
// reads have retired, else one that is lifeless, else the one with most to gain:
// the share of it that is dead, and its age, count. If due is set it is none but
// of the first two kinds, by which nothing is lost. The page can be read on. It is
// false if there is none, or only such whose slots are still being repointed.
func (t *Tier) Pick(due bool) (Victim, bool) {
	now := t.opt.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	list := &t.condemned
	i := slices.IndexFunc(*list, func(id PageID) bool { return t.pages[id].held == 0 })
	if i < 0 {
		list = &t.sealed
		i = t.worstLocked(now, due)
	}
	if i < 0 {
		return Victim{}, false
	}
	p := &t.pages[(*list)[i]]
	*list = slices.Delete(*list, i, i+1)
	p.picked = true
	return Victim{
		ID: p.id, Bucket: p.bucket, Lifeless: p.lifeless(now), Retired: p.is() == PageRetired, Live: max(0, p.bytes.Load()),
	}, true
}

// worstLocked is the sealed page that is missed least, or -1; mu is held.
func (t *Tier) worstLocked(now uint32, due bool) int {
	worst, most := -1, 0.0
	for i, id := range t.sealed {
		p := &t.pages[id]
		if p.held > 0 {
			continue
		}
		if p.lifeless(now) {
			return i
		}
		if gain := p.deadShare(t.pageSize) * float64(len(t.sealed)-i); !due && gain > most {
			worst, most = i, gain
		}
	}
	return worst
}

// ageAlone is what age counts for in a page without a dead record, so that of
// such the oldest goes.
const ageAlone = 0.1

// deadShare is the share of p that is not alive, and ageAlone.
func (p *page) deadShare(pageSize int64) float64 {
	return ageAlone + max(0, 1-float64(p.bytes.Load())/float64(pageSize))
}

// lifeless tells whether all records of p are dead or expired, as far as is
// known: an exptime changed later is not.
func (p *page) lifeless(now uint32) bool {
	return p.objects.Load() <= 0 || p.lastExp.Load() <= now
}

// Forget takes p, which Pick has given, from the catalog and from readers. From
// then on the caller drops the headers that point into it, none of which can come
// back, and calls Free. It is false if the catalog cannot be written: p is then as
// it was before Pick.
func (t *Tier) Forget(id PageID) bool {
	p := &t.pages[id]
	err := t.forget(p)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.counts.catalogErrors.Add(1)
		t.complain("no page can be reclaimed", "page", p.id, "err", err)
		t.putBackLocked(p)
		return false
	}
	p.named = p.named[:0]
	if p.is() == PageSealed {
		p.become(PageDraining)
	}
	return true
}

// PutBack undoes Pick of a page that is not lifeless after all: at least so many of
// its records are alive.
func (t *Tier) PutBack(id PageID, alive int) {
	p := &t.pages[id]
	t.mu.Lock()
	defer t.mu.Unlock()
	p.objects.Store(max(p.objects.Load(), int64(alive)))
	t.putBackLocked(p)
}

func (t *Tier) putBackLocked(p *page) {
	p.picked = false
	if p.is() == PageSealed {
		t.sealed = slices.Insert(t.sealed, 0, p.id)
	} else {
		t.condemned = append(t.condemned, p.id)
	}
}

func (t *Tier) dropSealedLocked(id PageID) {
	if i := slices.Index(t.sealed, id); i >= 0 {
		t.sealed = slices.Delete(t.sealed, i, i+1)
	}
}

// Free waits until nobody reads p any more and gives it back as space, or for
// good if it has had too many faults. No header may point into it by now. The
// caller must have released its own Reads of p.
func (t *Tier) Free(id PageID) {
	p := &t.pages[id]
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := p.is(); s != PageDraining && s != PageRetired {
		panic(fmt.Sprintf("flashtier: Free of page %d, which is %v", id, s))
	}
	for p.pins.Load() != 0 {
		t.drained.Wait()
	}
	t.awaitSealLocked(p)
	if live := p.objects.Load(); live > 0 {
		t.counts.pageEvictions.Add(1)
		t.counts.objectsEvicted.Add(uint64(live))
		t.counts.bytesEvicted.Add(uint64(max(0, p.bytes.Load())))
	}
	t.counts.pageReclaims.Add(1)
	t.freeLocked(p)
}

// freeLocked ends p's life, in which nothing can be read any more; mu is held.
func (t *Tier) freeLocked(p *page) {
	p.end.Store(0)
	p.objects.Store(0)
	p.bytes.Store(0)
	p.extents = p.extents[:0]
	if p.is() == PageRetired || int(p.faults.Load()) >= t.opt.PageFaults {
		p.become(PageRetired)
		return
	}
	if p.faults.Load() == p.before {
		p.faults.Store(0) // a life without faults: the old ones were no habit
	}
	p.become(PageFree)
	t.free = append(t.free, p.id)
}

// Dead counts that the record at a is not pointed at any more. It changes
// nothing but what Pick and Stats know of the page.
func (t *Tier) Dead(a Addr) {
	p, _, ok := t.locate(a)
	if !ok || !p.readable() {
		return
	}
	p.objects.Add(-1)
	p.bytes.Add(-int64(ClassSize(a.Class())))
}

// PageCount is how many pages the tier has, whatever their states.
func (t *Tier) PageCount() int { return len(t.pages) }

// FreePages is how many pages could be written at once.
func (t *Tier) FreePages() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.free)
}
