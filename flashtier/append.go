package flashtier

import "fmt"

// The buckets a page can be of, as extstore has them.
const (
	BucketDefault     uint8 = 0
	BucketCompact     uint8 = 1 // rescued records that were read
	BucketLowTTL      uint8 = 2 // records that expire soon
	BucketChunked     uint8 = 3 // no page is of it
	BucketColdCompact uint8 = 4 // rescued records that were not read
	BucketOld         uint8 = 5 // records of pages that had to go
)

// Writer appends records to the pages of one bucket. It is for one goroutine at
// a time.
type Writer struct {
	tier     *Tier
	bucket   uint8
	spare    int    // write buffers it leaves to others
	page     *page  // being filled, nil at first
	buf      *Batch // being filled, nil after Flush
	reserved int64  // what the last Reserve asked for, padding included
	at       int    // where its value goes in buf.mem
}

// NewWriter makes a Writer for pages of bucket. It holds nothing until the first
// Reserve.
func (t *Tier) NewWriter(bucket uint8) *Writer {
	w := &Writer{tier: t, bucket: bucket}
	if bucket == BucketDefault || bucket == BucketLowTTL {
		w.spare = t.opt.RescueBuffers
	}
	return w
}

// Reserve gives room for a value of at most maxVal bytes, under a key of keyLen,
// directly in the write buffer: a slice without length whose capacity is at
// least maxVal. Fill it and Commit, or Reserve again to give the room back. It
// returns ErrBufferFull, ErrNoPage, ErrBusy, ErrTooLarge, ErrDeviceOut, ErrIO or
// ErrClosed, and has then changed nothing.
func (w *Writer) Reserve(keyLen, maxVal int) ([]byte, error) {
	if keyLen < 1 || keyLen > 255 || maxVal < 0 {
		panic(fmt.Sprintf("flashtier: Reserve of key %d, value %d bytes", keyLen, maxVal))
	}
	need := padded(recordLen(keyLen, maxVal, true))
	if need > w.tier.opt.longest() {
		return nil, ErrTooLarge
	}
	if w.buf == nil {
		if err := w.begin(need); err != nil {
			return nil, err
		}
	}
	if !w.buf.fits(need) {
		if len(w.buf.entries) > 0 {
			return nil, ErrBufferFull
		}
		// An untouched buffer, begun at a page's end for a shorter record.
		w.abandon()
		return w.Reserve(keyLen, maxVal)
	}
	w.reserved = need
	w.at = w.buf.used + frameSize + keyLen
	return w.buf.mem[w.at : w.at : w.buf.used+int(need)], nil
}

// Commit completes the record of the last Reserve: val is what became of the
// slice it gave, and gives the address by which the record can be read once its
// Batch is done without error. ErrTooLarge says that key and val together are
// more than was reserved.
func (w *Writer) Commit(hash uint64, key, val []byte, flags, exptime uint32, cas uint64, state uint8) (Addr, error) {
	n := recordLen(len(key), len(val), flags != 0)
	if w.reserved == 0 {
		panic("flashtier: Commit without Reserve")
	}
	if len(key) > 255 || padded(n) > w.reserved {
		return 0, fmt.Errorf("%w: %d bytes, %d reserved", ErrTooLarge, n, w.reserved)
	}
	w.reserved = 0
	b := w.buf
	rec := b.mem[b.used : b.used+int(padded(n))]
	copy(rec[frameSize+len(key):], val) // moves nothing where val lies there already
	copy(rec[frameSize:], key)
	f := frame{
		length: uint32(n), exptime: exptime, cas: cas,
		flags: flags, keyLen: uint8(len(key)), kind: kindRecord, state: state,
	}
	f.seal(rec, b.life, b.off+int64(b.used))
	return b.add(hash, exptime, len(rec)), nil
}

// Flush adds the index to the write buffer and submits it. The Batch is nil if
// there is nothing to write. The only error is ErrClosed.
func (w *Writer) Flush() (*Batch, error) {
	b := w.buf
	if b == nil || len(b.entries) == 0 {
		return nil, nil
	}
	w.buf, w.reserved = nil, 0
	w.page.next = b.off + b.finish()
	if err := w.tier.submit(b); err != nil {
		return nil, err
	}
	return b, nil
}

// begin binds a free buffer to the page and the offset it will be written to, so
// that addresses are known from Commit on. The record to come has need bytes.
func (w *Writer) begin(need int64) error {
	t := w.tier
	try, ok := t.takesWrites()
	if !ok {
		return ErrDeviceOut
	}
	b, err := t.takeBuffer(w.spare)
	if err != nil {
		return err
	}
	if w.page != nil && !t.takes(w.page, need) {
		t.letGo(w.page)
		w.page = nil
	}
	if w.page == nil {
		if w.page, err = t.openPage(w.bucket); err != nil {
			t.putBuffer(b)
			return err
		}
	}
	b.bind(w.page)
	b.try = try
	w.buf = b
	return nil
}

// abandon lets go of a buffer that nothing was committed to, and of its page,
// which has no room for what is wanted.
func (w *Writer) abandon() {
	t := w.tier
	t.unbind(w.buf)
	t.letGo(w.page)
	w.buf, w.page = nil, nil
}

// takes tells whether p can take another extent, with a record of need bytes.
func (t *Tier) takes(p *page, need int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.failed || p.begun == maxExtents {
		return false
	}
	room := min(int64(t.opt.BufferSize), dataEnd(t.pageSize)-p.next)
	return need+frameSize+indexed(need) <= room
}

// letGo says that p gets no further extent.
func (t *Tier) letGo(p *page) {
	t.mu.Lock()
	p.closed = true
	s := t.settlePageLocked(p)
	t.mu.Unlock()
	t.startSeal(s)
}
