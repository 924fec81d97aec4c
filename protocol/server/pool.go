package server

import "sync/atomic"

const (
	// bufferSize is what a connection with bytes in hand is lent.
	bufferSize = 16 << 10
	// eagerSize is the largest buffer for bytes that are only announced.
	eagerSize = 64 << 10
	// keepSize is the largest buffer kept for reuse, in bytes.
	keepSize = 2 << 20
	// keepTotal bounds the buffers over bufferSize that are kept, in bytes.
	keepTotal = 4 << 20
	// keepSmall bounds those of bufferSize. More come back than went out: a
	// buffer that a Handler made may happen to have that size.
	keepSmall = 256
)

// pool is a loop's free buffers. What came back last goes out first, so that a
// few buffers in the CPU's cache do for many connections. Used by the loop
// alone, but for total.
type pool struct {
	small [][]byte // of bufferSize
	wide  [][]byte // larger
	kept  int      // bytes of wide
	rings []*entries
	total atomic.Int64
}

func (p *pool) getEntries() *entries {
	last := len(p.rings) - 1
	if last < 0 {
		return new(entries)
	}
	e := p.rings[last]
	p.rings = p.rings[:last]
	return e
}

// get returns an empty buffer with room for n bytes at least. Wide buffers
// are not kept back for those who need them: they are few, and warm.
func (p *pool) get(n int) []byte {
	if last := len(p.wide) - 1; last >= 0 && cap(p.wide[last]) >= n && n != bufferSize {
		b := p.wide[last]
		p.wide[last] = nil // or it would be kept alive by a slice that is longer at times
		p.wide = p.wide[:last]
		p.kept -= cap(b)
		return b
	}
	if last := len(p.small) - 1; last >= 0 && n <= bufferSize {
		b := p.small[last]
		p.small[last] = nil
		p.small = p.small[:last]
		return b
	}
	n = max(n, bufferSize)
	p.total.Add(int64(n))
	return make([]byte, 0, n)
}

// put takes a buffer back.
func (p *pool) put(b []byte) {
	switch n := cap(b); {
	case n == bufferSize && len(p.small) < keepSmall:
		p.small = append(p.small, b[:0])
	case n > bufferSize && n <= keepSize && p.kept+n <= keepTotal:
		p.wide = append(p.wide, b[:0])
		p.kept += n
	default:
		p.total.Add(-int64(n))
	}
}
