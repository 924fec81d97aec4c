package flashtier

import (
	"cmp"
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
	LeftOut int64 // the oldest records, forgotten because there was no room for more

	BadBlobs     int64  // extents whose blob is bad: their records are dropped
	BadPages     int    // pages of which the catalog, or the file, is bad: all of theirs are dropped
	PagesAside   int    // page files set aside at this start
	BadJournal   string // damage to the journal, after a power loss or where stale values are accepted
	PagesScanned int    // pages rebuilt from their own records
	BadRecords   int64  // records of those that are not sound

	Duration time.Duration
}

const (
	// roundRecords and roundSteps bound what is on its way from the catalog to
	// load at a time, and so a recovery's memory: 48 bytes a record and 2 KiB a
	// step.
	roundRecords = 256 << 10
	roundSteps   = 512
	partitions   = 256
	partShift    = 56
)

// Recover gives load the live records that earlier runs have left, and counts for
// their pages what of them is alive. load is called by as many as workers
// goroutines at once. The hashes of a part share their top 8 bits; parts that
// share them come one at a time, in the order in which the records were written.
// Call it once, after Open and before anything is written.
func (t *Tier) Recover(workers int, load func(part []Entry)) (Recovery, error) {
	begun := time.Now()
	p := &t.past
	r := &recovery{t: t, load: load, workers: max(1, workers), now: t.opt.Now()}
	r.Mode, r.Why, r.PagesAside = p.mode, p.why, p.asideNow
	r.BadPages = p.dropped + len(p.badRows)
	r.BadJournal = p.left.damage
	if err := r.rebuild(); err != nil {
		return r.Recovery, err
	}
	plan, err := r.leaveOut(r.plan())
	if err != nil {
		return r.Recovery, err
	}
	for len(plan) > 0 {
		plan = plan[r.round(plan):]
		if t.opt.Progress != nil {
			t.opt.Progress(r.done, r.total)
		}
	}
	r.Duration = time.Since(begun)
	return r.Recovery, nil
}

// recovery is the state of a Recover.
type recovery struct {
	t       *Tier
	load    func(part []Entry)
	workers int
	now     uint32
	total   int64 // records in all blobs

	// Of a round.
	flights  []flight
	from, to []Entry           // records before and after they are partitioned
	dead     map[*page]deadSet // of the round's pages

	mu sync.Mutex // guards what follows, in a round
	Recovery
	done int64 // records seen
}

// step is an extent still to be recovered: the one at an index of page.named.
type step struct {
	page *page
	at   int
}

func (s step) named() named { return s.page.named[s.at] }

// deadSet is what became of a page's records, or why that cannot be known.
type deadSet struct {
	changes []change // in the order of the page
	err     error
}

// flight is an extent in a round.
type flight struct {
	page    *page
	named   named
	entries []Entry         // its live records
	counts  [partitions]int // of entries, then where they go
	tally   Recovery
}

// plan lists the extents of all pages, oldest blob first.
func (r *recovery) plan() (plan []step) {
	r.Pages, r.total = 0, 0
	for i := range r.t.pages {
		p := &r.t.pages[i]
		if p.is() != PageSealed {
			continue
		}
		r.Pages++
		for at, x := range p.named {
			plan = append(plan, step{p, at})
			r.total += int64(x.live)
		}
	}
	slices.SortFunc(plan, func(a, b step) int { return cmp.Compare(a.named().seq, b.named().seq) })
	return plan
}

// round takes the first extents of plan from the catalog to load, and gives their
// number.
func (r *recovery) round(plan []step) (n int) {
	records := 0
	for n < min(len(plan), roundSteps) {
		live := int(plan[n].named().live)
		if n > 0 && records+live > roundRecords {
			break
		}
		records += live
		n++
	}
	r.begin(plan[:n], records)
	r.readDead()
	r.each(n, func(i int) { r.read(&r.flights[i]) })
	bounds := r.partition()
	r.each(partitions, func(i int) {
		if part := r.to[bounds[i]:bounds[i+1]]; len(part) > 0 {
			r.load(part)
		}
	})
	return n
}

// begin gives each extent its share of r.from.
func (r *recovery) begin(plan []step, records int) {
	r.from = slices.Grow(r.from[:0], records)[:records]
	r.flights = slices.Grow(r.flights[:0], len(plan))
	at := 0
	for _, s := range plan {
		n := int(s.named().live)
		r.flights = append(r.flights, flight{page: s.page, named: s.named(), entries: r.from[at : at : at+n]})
		at += n
	}
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

// readDead reads the dead sets of the round's pages, but for those that the round
// before has read.
func (r *recovery) readDead() {
	var unread []*page
	dead := map[*page]deadSet{}
	for i := range r.flights {
		p := r.flights[i].page
		if _, ok := dead[p]; ok {
			continue
		}
		d, ok := r.dead[p]
		if dead[p] = d; !ok {
			unread = append(unread, p)
		}
	}
	r.dead = dead
	r.each(len(unread), func(i int) {
		p := unread[i]
		changes, err := r.t.deadOf(p)
		r.mu.Lock()
		r.dead[p] = deadSet{changes, err}
		if err != nil {
			r.BadPages++
		}
		r.mu.Unlock()
		if err != nil {
			r.t.complain("page is dropped", "page", p.id, "err", err)
		}
	})
}

// deadOf reads the dead set of p, in the order of the page.
func (t *Tier) deadOf(p *page) (changes []change, err error) {
	err = t.catalog.view(lifeKey(keyDead, p.id, p.version.Load()), func(v []byte) (err error) {
		if v != nil {
			changes, err = decodeDead(v, nil)
		}
		return err
	})
	return settleChanges(changes), err
}

// read fills f with the live records of its extent.
func (r *recovery) read(f *flight) {
	dead := r.dead[f.page]
	if dead.err == nil {
		key := blobKey(f.page.id, f.page.version.Load(), f.named.extent.Start)
		err := r.t.catalog.view(key, func(v []byte) error {
			b, err := viewBlob(key, v, f.named)
			if err == nil {
				r.sift(f, b, dead.changes)
			}
			return err
		})
		if err != nil {
			r.t.complain("extent is dropped", "page", f.page.id, "offset", f.named.extent.Start, "err", err)
			f.tally.BadBlobs++
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done += int64(f.named.live)
	r.Items += f.tally.Items
	r.Bytes += f.tally.Bytes
	r.Dead += f.tally.Dead
	r.Expired += f.tally.Expired
	r.Flushed += f.tally.Flushed
	r.BadBlobs += f.tally.BadBlobs
}

// sift puts into f those of b's records that are alive. changes are those of the
// whole page, and like b's records in its order.
func (r *recovery) sift(f *flight, b blobView, changes []change) {
	p, base := f.page, r.t.base(f.page.id)
	last := uint32(0)
	r.living(f.named, b, changes, &f.tally, func(e blobEntry) {
		f.entries = append(f.entries, Entry{e.hash, NewAddr(base+uint64(e.unit), e.class), e.exptime})
		f.counts[e.hash>>partShift]++
		f.tally.Bytes += int64(ClassSize(e.class))
		if e.exptime == 0 {
			e.exptime = never
		}
		last = max(last, e.exptime)
	})
	f.tally.Items = int64(len(f.entries))
	p.objects.Add(f.tally.Items)
	p.bytes.Add(f.tally.Bytes)
	raise(&p.lastExp, last)
}

// living calls fn for the records of an extent's blob that are alive, and counts
// the others.
func (r *recovery) living(x named, b blobView, changes []change, tally *Recovery, fn func(e blobEntry)) {
	if b.gen != r.t.gen.Load() {
		tally.Flushed += int64(b.n)
		return
	}
	i, _ := slices.BinarySearchFunc(changes, x.extent.Start/unit, func(c change, unit uint32) int {
		return cmp.Compare(c.unit, unit)
	})
	changes = changes[i:]
	for i := range b.n {
		e := b.entry(i)
		for len(changes) > 0 && changes[0].unit < e.unit {
			changes = changes[1:]
		}
		if len(changes) > 0 && changes[0].unit == e.unit {
			if changes[0].kind == changeDead {
				tally.Dead++
				continue
			}
			e.exptime = changes[0].exptime
		}
		if e.exptime != 0 && e.exptime <= r.now {
			tally.Expired++
			continue
		}
		fn(e)
	}
}

// partition puts the round's records into r.to, sorted by the top bits of their
// hashes and otherwise in order, and gives where each partition begins.
func (r *recovery) partition() (bounds [partitions + 1]int) {
	at := 0
	for p := range partitions {
		bounds[p] = at
		for i := range r.flights {
			n := r.flights[i].counts[p]
			r.flights[i].counts[p] = at
			at += n
		}
	}
	bounds[partitions] = at
	r.to = slices.Grow(r.to[:0], at)[:at]
	r.each(len(r.flights), func(i int) {
		f := &r.flights[i]
		for _, e := range f.entries {
			p := e.Hash >> partShift
			r.to[f.counts[p]] = e
			f.counts[p]++
		}
	})
	return bounds
}
