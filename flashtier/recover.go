package flashtier

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Entry is a live record that Recover has found.
type Entry struct {
	Hash    uint64 // of its key
	Addr    Addr
	Exptime uint32 // unix seconds, 0 never
}

// Recovery is what Recover has found, and what Open had before it.
type Recovery struct {
	Mode Mode
	// Why says, of a cold or a stale start, what cannot be trusted.
	Why string

	Items   int64 // records given to load
	Bytes   int64 // the same, in bytes of their classes
	Pages   int   // they are in
	Expired int64 // records whose time had passed
	Dead    int64 // records that were overwritten, deleted or evicted
	Flushed int64 // records from before a flush

	BadBlobs     int64  // extents whose blob is bad: their records are dropped
	BadPages     int    // pages of which the catalog, or the file, is bad: all of theirs are dropped
	PagesAside   int    // page files set aside at this start
	BadJournal   string // damage to the journal, after a power loss or where stale values are accepted
	ScannedPages int    // pages rebuilt from their own records

	Duration time.Duration
}

const (
	// roundRecords is how many records are on their way from the catalog to load
	// at a time. It bounds the memory of a recovery: 48 bytes a record.
	roundRecords = 256 << 10
	partitions   = 256
	partShift    = 56
)

// Recover gives load the live records that earlier runs have left, and seals
// their pages with what of them is alive. load is called by as many as workers
// goroutines at once. The hashes of a part share their top 8 bits; parts that
// share them come one at a time, in the order in which the records were written.
// Call it once, after Open and before anything is written.
func (t *Tier) Recover(workers int, load func(part []Entry)) (Recovery, error) {
	begun := time.Now()
	p := &t.past
	r := &recovery{t: t, load: load, workers: max(1, workers), now: t.opt.Now()}
	r.Mode, r.Why, r.PagesAside = p.mode, p.why, p.asideNow
	r.BadPages = p.dropped + p.badRows
	r.BadJournal = p.left.damage
	r.plan()
	for len(r.steps) > 0 {
		r.round()
		if t.opt.Progress != nil {
			t.opt.Progress(r.done, r.total)
		}
	}
	r.Duration = time.Since(begun)
	return r.Recovery, nil
}

// recovery is the state of a Recover.
type recovery struct {
	Recovery
	t       *Tier
	load    func(part []Entry)
	workers int
	now     uint32

	steps       []*step // extents still to be loaded, in the order of their blobs
	done, total int64   // records
	dead        map[PageID][]change
	from, to    []Entry // of a round, before and after partitioning
	mu          sync.Mutex
	bad         map[PageID]bool // pages whose dead set cannot be read
}

// step is the recovery of one extent.
type step struct {
	page *page
	named
	entries []Entry         // its live records
	counts  [partitions]int // of entries, then where they go
}

// plan lists the extents of all pages, oldest blob first.
func (r *recovery) plan() {
	for i := range r.t.pages {
		p := &r.t.pages[i]
		if p.is() != PageSealed {
			continue
		}
		r.Pages++
		for _, x := range p.named {
			r.steps = append(r.steps, &step{page: p, named: x})
			r.total += int64(x.live)
		}
	}
	slices.SortFunc(r.steps, func(a, b *step) int { return cmp.Compare(a.seq, b.seq) })
}

// round takes the next extents from the catalog to load.
func (r *recovery) round() {
	n, records := 0, 0
	for n < len(r.steps) && (n == 0 || records+int(r.steps[n].live) <= roundRecords) {
		records += int(r.steps[n].live)
		n++
	}
	steps := r.steps[:n]
	r.steps = r.steps[n:]
	r.done += int64(records)

	r.from = slices.Grow(r.from[:0], records)[:records]
	at := 0
	for _, s := range steps {
		s.entries = r.from[at : at : at+int(s.live)]
		at += int(s.live)
	}
	r.readDead(steps)
	r.each(len(steps), func(i int) { r.read(steps[i]) })
	bounds := r.partition(steps)
	r.each(partitions, func(i int) {
		if part := r.to[bounds[i]:bounds[i+1]]; len(part) > 0 {
			r.load(part)
		}
	})
}

// each calls do(0) to do(n-1), on as many goroutines as there are workers.
func (r *recovery) each(n int, do func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(r.workers, n) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				do(int(i))
			}
		})
	}
	wg.Wait()
}

// readDead reads the dead sets of the pages of steps.
func (r *recovery) readDead(steps []*step) {
	var pages []*page
	older := r.dead
	r.dead = map[PageID][]change{}
	for _, s := range steps {
		if _, ok := r.dead[s.page.id]; ok {
			continue
		}
		r.dead[s.page.id] = older[s.page.id]
		if _, ok := older[s.page.id]; !ok {
			pages = append(pages, s.page)
		}
	}
	r.each(len(pages), func(i int) {
		p := pages[i]
		changes, err := r.t.deadOf(p)
		r.mu.Lock()
		defer r.mu.Unlock()
		if err != nil {
			r.spoil(p, err)
		}
		r.dead[p.id] = changes
	})
}

// deadOf reads the dead set of p, in the order of the page.
func (t *Tier) deadOf(p *page) ([]change, error) {
	v, err := t.catalog.get(lifeKey(keyDead, p.id, p.version.Load()))
	if v == nil || err != nil {
		return nil, err
	}
	changes, err := decodeDead(v, nil)
	return settleChanges(changes), err
}

// spoil gives up page p, because what died of it cannot be known; mu is held.
func (r *recovery) spoil(p *page, err error) {
	if r.bad == nil {
		r.bad = map[PageID]bool{}
	}
	if !r.bad[p.id] {
		r.bad[p.id] = true
		r.BadPages++
		r.t.opt.Logger.Error("flash tier: page is dropped", "page", p.id, "err", err)
	}
}

// read fills s with the live records of its extent.
func (r *recovery) read(s *step) {
	t, p := r.t, s.page
	key := blobKey(p.id, p.version.Load(), s.extent.Start)
	var b blob
	v, err := t.catalog.get(key)
	if err == nil && v == nil {
		err = fmt.Errorf("%w: %q is missing", errCatalog, key)
	}
	if err == nil {
		b.entries = make([]blobEntry, 0, s.live)
		err = decodeBlob(key, v, s.named, &b)
	}
	r.mu.Lock()
	bad, dead := r.bad[p.id], r.dead[p.id]
	r.mu.Unlock()
	if err != nil {
		t.opt.Logger.Error("flash tier: extent is dropped", "page", p.id, "offset", s.extent.Start, "err", err)
		r.count(func() { r.BadBlobs++ })
		return
	}
	if bad {
		return
	}
	if b.gen != t.gen.Load() {
		r.count(func() { r.Flushed += int64(len(b.entries)) })
		return
	}
	r.sift(s, b.entries, dead)
}

func (r *recovery) count(add func()) {
	r.mu.Lock()
	add()
	r.mu.Unlock()
}

// sift puts into s those of entries that are neither dead nor expired. Both lists
// are in the order of the page.
func (r *recovery) sift(s *step, entries []blobEntry, changes []change) {
	p := s.page
	i, _ := slices.BinarySearchFunc(changes, s.extent.Start/unit, func(c change, unit uint32) int {
		return cmp.Compare(c.unit, unit)
	})
	changes = changes[i:]
	var dead, expired, bytes int64
	last := uint32(0)
	base := r.t.base(p.id)
	for _, e := range entries {
		for len(changes) > 0 && changes[0].unit < e.unit {
			changes = changes[1:]
		}
		if len(changes) > 0 && changes[0].unit == e.unit {
			if changes[0].kind == changeDead {
				dead++
				continue
			}
			e.exptime = changes[0].exptime
		}
		if e.exptime != 0 && e.exptime <= r.now {
			expired++
			continue
		}
		s.entries = append(s.entries, Entry{e.hash, NewAddr(base+uint64(e.unit), e.class), e.exptime})
		s.counts[e.hash>>partShift]++
		bytes += int64(ClassSize(e.class))
		if e.exptime == 0 {
			e.exptime = never
		}
		last = max(last, e.exptime)
	}
	p.objects.Add(int64(len(s.entries)))
	p.bytes.Add(bytes)
	raise(&p.lastExp, last)
	r.count(func() {
		r.Items += int64(len(s.entries))
		r.Bytes += bytes
		r.Dead += dead
		r.Expired += expired
	})
}

// partition puts the records of steps into r.to, sorted by the top bits of their
// hash and otherwise in order, and gives where each partition begins.
func (r *recovery) partition(steps []*step) (bounds [partitions + 1]int) {
	at := 0
	for p := range partitions {
		bounds[p] = at
		for _, s := range steps {
			n := s.counts[p]
			s.counts[p] = at
			at += n
		}
	}
	bounds[partitions] = at
	r.to = slices.Grow(r.to[:0], at)[:at]
	r.each(len(steps), func(i int) {
		s := steps[i]
		for _, e := range s.entries {
			p := e.Hash >> partShift
			r.to[s.counts[p]] = e
			s.counts[p]++
		}
		s.entries = nil
	})
	return bounds
}
