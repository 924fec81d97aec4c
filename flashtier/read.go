package flashtier

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hearthcache/hearth/ioq"
)

// Read is the read of one record, from StartRead to Release. Its methods are for
// one goroutine at a time. It keeps its page from being freed, so every Read
// must be released.
type Read struct {
	tier    *Tier
	page    *page
	addr    Addr
	off     int64  // of the record in the page, bytes
	version uint32 // of the page, while it is pinned
	skip    int    // bytes of the buffer before the record, in direct mode
	mem     []byte
	since   time.Duration // epoch to submission, of one that was not done then; else 0
	op      ioq.Op
	value   []byte // while it is lent
}

// StartRead submits the read of the record at a. When it is done, n, if not nil,
// is notified with tag as ioq says. It returns ErrGone if the page cannot be read
// any more or is longer than any buffer, and ErrBusy if all read buffers are in
// use. It allocates nothing but a buffer at first use.
func (t *Tier) StartRead(a Addr, n ioq.Notifier, tag uint64) (*Read, error) {
	return t.startRead(a, n, tag, false)
}

// StartUrgentRead is StartRead for who will finish and release this Read before
// any other that it waits for. There is one more buffer for such reads, so that
// they go on, one after the other, though all others hold buffers and wait for
// them: replies leave in order, so what was read first may have to wait for what
// was asked first.
func (t *Tier) StartUrgentRead(a Addr, n ioq.Notifier, tag uint64) (*Read, error) {
	return t.startRead(a, n, tag, true)
}

func (t *Tier) startRead(a Addr, n ioq.Notifier, tag uint64, urgent bool) (*Read, error) {
	p, off, ok := t.locate(a)
	if !ok {
		t.counts.readGone.Add(1)
		return nil, ErrGone
	}
	if !p.pin() || off < blockSize || off >= p.end.Load() {
		t.unpin(p)
		t.counts.readGone.Add(1)
		return nil, ErrGone
	}
	from, to := t.span(off, ClassSize(a.Class()))
	r := t.reads.take(to - from)
	if r == nil && urgent {
		r = t.reads.takeLast(to - from)
	}
	if r == nil {
		t.unpin(p)
		if !t.reads.holds(to - from) { // written when items might be longer
			t.counts.readGone.Add(1)
			return nil, ErrGone
		}
		t.counts.readBusy.Add(1)
		return nil, ErrBusy
	}
	r.tier, r.page, r.addr, r.version = t, p, a, p.version.Load()
	r.off, r.skip = off, int(off-from)
	op := &r.op
	op.File, op.Kind, op.Off, op.Buf = p.file, ioq.Read, from, r.mem[:to-from]
	op.Notifier, op.Tag = n, tag
	begun := t.latencies.begin()
	op.SubmitTo(t.queue)
	r.since = 0
	switch {
	case !op.Inline():
		r.since = time.Since(epoch)
	case begun != 0:
		t.latencies.add(time.Since(epoch)-begun, inlineSample)
	}
	return r, nil
}

// took counts how long the read took, from when it was submitted until somebody
// asked for it, and says so of a slow one.
func (r *Read) took(key []byte) {
	if r.since == 0 {
		return
	}
	t, took := r.tier, time.Since(epoch)-r.since
	r.since = 0
	t.latencies.add(took, 1)
	if slow := t.opt.SlowRead; slow > 0 && took >= slow {
		t.counts.slowReads.Add(1)
		t.tell(slog.LevelWarn, "slow read", "took", took, "key", string(key), "page", r.page.id, "bytes", len(r.op.Buf))
	}
}

// span is what must be read for the size bytes at off: as they are, or in direct
// mode the blocks around them. A class may reach past the page's end.
func (t *Tier) span(off int64, size int) (from, to int64) {
	from, to = off, min(off+int64(size), t.pageSize)
	if t.queue.Direct() {
		from, to = from&^(blockSize-1), alignUp(to, blockSize)
	}
	return from, to
}

// Ready tells whether Finish will not wait.
func (r *Read) Ready() bool { return r.op.Done() }

// Wait returns when the read is done.
func (r *Read) Wait() { r.op.Wait() }

// Version is the version of the page the record is read from.
func (r *Read) Version() uint32 { return r.version }

// Created is when the page that the record is read from was begun, in unix
// seconds: the record was written at that time or later.
func (r *Read) Created() uint32 { return r.page.created }

// Finish waits for the read and gives the record, if it is whole, of this life
// of its page, and its key is key; a nil key takes any. Otherwise the error is
// ErrIO, ErrCRC, ErrVersion or ErrKey, and the record is empty. The record's
// slices hold until Release.
func (r *Read) Finish(key []byte) (Record, error) {
	r.op.Wait()
	t := r.tier
	r.took(key)
	if r.op.Err != nil {
		t.counts.readIO.Add(1)
		t.failedReads.Add(1)
		t.fault(r.page)
		return Record{}, fmt.Errorf("%w: read %s at %v: %w", ErrIO, r.page.file.Path(), r.addr, r.op.Err)
	}
	if t.failedReads.Load() != 0 {
		t.failedReads.Store(0)
	}
	life := Life{Format: r.page.format, Version: r.version, Base: t.base(r.page.id)}
	rec, n, err := DecodeRecord(r.op.Buf[r.skip:], life, r.off)
	switch {
	case errors.Is(err, ErrVersion):
		t.counts.readVersion.Add(1)
		return Record{}, ErrVersion
	case err != nil:
		t.counts.readCRC.Add(1)
		t.fault(r.page)
		return Record{}, ErrCRC
	case key != nil && string(rec.Key) != string(key):
		t.counts.readKey.Add(1)
		return Record{}, ErrKey
	}
	t.counts.objectsRead.Add(1)
	t.counts.bytesRead.Add(uint64(n))
	rec.Addr = r.addr
	return rec, nil
}

// Release lets the page and the buffer go. The read must be Ready: the buffer is
// the queue's until then.
func (r *Read) Release() {
	t := r.tier
	r.leave()
	t.reads.put(r)
}

// leave lets the page go.
func (r *Read) leave() {
	if !r.op.Done() {
		panic(fmt.Sprintf("flashtier: Release of a read in flight at %v", r.addr))
	}
	p := r.page
	r.op.Reset()
	r.op.File, r.op.Notifier, r.page = nil, nil, nil
	r.tier.unpin(p)
}

// Lend is Release, but for the memory of value, which Finish has given in its
// Record: it holds until Return. So a large value can be sent to a client who takes
// it slowly, without a copy, and neither its page nor other reads wait for that: the
// buffer no longer counts as one for reads.
func (r *Read) Lend(value []byte) {
	r.leave()
	r.value = value
	r.tier.reads.lend(r)
}

// Lent is the value that was lent.
func (r *Read) Lent() []byte { return r.value }

// Return ends what Lend began.
func (r *Read) Return() {
	r.value = nil
	r.tier.reads.takeBack(r)
}

// Version is the present version of the page that a is in, or that of its last
// life. What has been copied from a page is of use only under the same version.
func (t *Tier) Version(a Addr) uint32 {
	p, _, ok := t.locate(a)
	if !ok {
		return 0
	}
	return p.version.Load()
}
