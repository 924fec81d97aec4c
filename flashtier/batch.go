package flashtier

import (
	"fmt"

	"github.com/hearthcache/hearth/ioq"
)

// Batch is a write buffer, from the first record put into it until its write is
// done and its owner has seen which of its records exist. Its methods are for
// one goroutine at a time.
type Batch struct {
	tier    *Tier
	mem     []byte
	op      ioq.Op
	entries []IndexEntry
	err     error
	settled bool
	try     bool // the device was out when it was begun

	// Of the page it is bound to.
	page    *page
	life    Life  // of the page
	off     int64 // where mem goes
	start   int   // where the extent begins in mem: after the header, in a page's first
	used    int   // where the next record goes in mem
	limit   int   // what the page has room for of mem
	index   int64 // length of the index frame so far
	lastExp uint32
	bytes   int64 // of the records, by their classes
}

func (t *Tier) newBatch() (*Batch, error) {
	mem, err := mapMemory(int64(t.opt.BufferSize))
	if err != nil {
		return nil, err
	}
	return &Batch{tier: t, mem: mem}, nil
}

// takeBuffer gives a buffer that is free, if more than spare are.
func (t *Tier) takeBuffer(spare int) (*Batch, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.buffers)
	switch {
	case t.closed:
		return nil, ErrClosed
	case n <= spare:
		return nil, ErrBusy
	}
	b := t.buffers[n-1]
	t.buffers = t.buffers[:n-1]
	return b, nil
}

func (t *Tier) putBuffer(b *Batch) {
	t.mu.Lock()
	t.buffers = append(t.buffers, b)
	t.mu.Unlock()
}

// bind says where in p the buffer goes. The first in a page brings the page's
// header with it, in the same write.
func (b *Batch) bind(p *page) {
	t := b.tier
	b.page, b.life, b.off, b.start = p, t.life(p), p.next, 0
	b.entries, b.err, b.settled = b.entries[:0], nil, false
	b.lastExp, b.bytes, b.index = 0, 0, frameSize
	if b.off == 0 {
		b.start = blockSize
		EncodeHeader(b.mem, t.headerOf(p))
	}
	b.used = b.start
	b.limit = int(min(int64(len(b.mem)), dataEnd(t.pageSize)-b.off))
	t.mu.Lock()
	p.writes++
	p.held++
	p.begun++
	t.mu.Unlock()
}

// unbind gives an untouched buffer back.
func (t *Tier) unbind(b *Batch) {
	t.mu.Lock()
	b.page.writes--
	b.page.held--
	b.page.begun--
	t.buffers = append(t.buffers, b)
	t.mu.Unlock()
}

// fits tells whether a record of n bytes and its index entry have room.
func (b *Batch) fits(n int64) bool {
	return int64(b.used)+n+b.index+indexed(n) <= int64(b.limit)
}

// add counts the record of size bytes that was put at b.used.
func (b *Batch) add(hash uint64, exptime uint32, size int) Addr {
	at := b.off + int64(b.used)
	b.entries = append(b.entries, IndexEntry{Hash: hash, Unit: uint32(at / unit), Size: uint32(size)})
	b.used += size
	b.index += indexed(int64(size))
	if exptime == 0 {
		exptime = never
	}
	b.lastExp = max(b.lastExp, exptime)
	a := b.tier.addr(b.page.id, at, size)
	b.bytes += int64(ClassSize(a.Class()))
	return a
}

// finish adds index and padding, and gives the length of what is to be written.
func (b *Batch) finish() int64 {
	n := int64(b.used) + encodeIndex(b.mem[b.used:], b.life, b.off+int64(b.used), b.entries)
	end := alignUp(n, blockSize)
	clear(b.mem[n:end])
	b.op.File, b.op.Kind, b.op.Off, b.op.Buf = b.page.file, ioq.Write, b.off, b.mem[:end]
	return end
}

func (t *Tier) submit(b *Batch) error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return ErrClosed
	}
	t.submitted++
	t.mu.Unlock()
	t.counts.deviceBytes.Add(uint64(len(b.op.Buf)))
	b.op.SubmitTo(t.queue)
	return nil
}

// Ready tells whether the write is done.
func (b *Batch) Ready() bool { return b.op.Done() }

// Wait returns when the write is done.
func (b *Batch) Wait() { b.op.Wait() }

// Err waits for the write and tells whether the batch's records exist: if it is
// nil they can be read, otherwise there is none of them.
func (b *Batch) Err() error {
	if !b.settled {
		b.op.Wait()
		b.settled = true
		b.err = b.tier.finishWrite(b)
	}
	return b.err
}

// Len is the number of records.
func (b *Batch) Len() int { return len(b.entries) }

// Entry is the hash and the address of record i.
func (b *Batch) Entry(i int) (hash uint64, a Addr) {
	e := b.entries[i]
	return e.Hash, b.tier.addr(b.page.id, int64(e.Unit)*unit, int(e.Size))
}

// Release gives the buffer back, after the write is done.
func (b *Batch) Release() {
	_ = b.Err() // told to whoever asked; what matters here is that it is settled
	t := b.tier
	b.op.Reset()
	b.op.File, b.op.Buf = nil, nil
	t.mu.Lock()
	b.page.held--
	t.buffers = append(t.buffers, b)
	t.submitted--
	t.drained.Broadcast()
	t.mu.Unlock()
}

// extent is where b's records are in the page.
func (b *Batch) extent() Extent {
	return Extent{
		Start: uint32(b.off) + uint32(b.start),
		Index: uint32(b.off) + uint32(b.used),
		Count: uint32(len(b.entries)),
	}
}

// finishWrite brings the outcome of b's write into the page table.
func (t *Tier) finishWrite(b *Batch) error {
	t.mu.Lock()
	news, err := t.finishWriteLocked(b)
	s := t.settlePageLocked(b.page)
	t.mu.Unlock()
	t.tellDevice(news, b.op.Err)
	t.startSeal(s)
	return err
}

func (t *Tier) finishWriteLocked(b *Batch) (news bool, err error) {
	p := b.page
	p.writes--
	if err := b.op.Err; err != nil {
		t.counts.writeErrors.Add(1)
		p.headless = p.headless || b.off == 0
		if !noSpace(err) {
			p.faults.Add(1)
		}
		if !p.failed {
			p.failed = true
			news = t.failedPageLocked()
		}
		return news, fmt.Errorf("%w: write %s: %w", ErrIO, p.file.Path(), err)
	}
	news = t.wrotePageLocked(b.try)
	if !p.readable() {
		return news, ErrGone
	}
	p.insert(b.extent())
	p.records += uint64(len(b.entries))
	raise(&p.lastExp, b.lastExp)
	p.objects.Add(int64(len(b.entries)))
	p.bytes.Add(b.bytes)
	p.end.Store(max(p.end.Load(), b.off+int64(len(b.op.Buf))))
	t.counts.wrote(b)
	return news, nil
}

// insert adds e to the page's extents, which stay in the order of the page
// although writes may be done in another.
func (p *page) insert(e Extent) {
	i := len(p.extents)
	p.extents = append(p.extents, e)
	for ; i > 0 && p.extents[i-1].Start > e.Start; i-- {
		p.extents[i] = p.extents[i-1]
	}
	p.extents[i] = e
}
