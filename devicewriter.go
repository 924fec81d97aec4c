package hearth

import (
	"cmp"
	"errors"
	"slices"

	"github.com/hearthcache/hearth/flashtier"
)

// deviceWriter is a flashtier.Writer over all devices: each write buffer goes to
// the one whose turn it is, so that all fill alike by their sizes, as far as each
// keeps up. One that takes nothing at the moment is passed over. It is for one
// goroutine at a time.
type deviceWriter struct {
	bucket uint8
	lower  bool // for the devices of a lower tier alone
	lanes  []*lane
	at     *lane // whose write buffer is being filled; nil before the first and after Flush
}

// lane is a device as a writer sees it.
type lane struct {
	*flashtier.Writer
	d       *device
	rank    int     // 0 of the writer's bucket, 1 of bucket default in place of it
	written float64 // bytes, or what counts as such, as a share of the device's size
}

// NewWriter makes a writer for pages of bucket. They go to the devices of that
// bucket; where there is none, or none of them takes any, to those of bucket
// default. But what goes to a lower tier does not come back from there.
func (ds *devices) NewWriter(bucket uint8) *deviceWriter {
	w := &deviceWriter{bucket: bucket, lower: slices.ContainsFunc(ds.all, func(d *device) bool { return d.bucket == bucket && d.tier() > 0 })}
	for _, d := range ds.all {
		switch d.bucket {
		case bucket:
			w.lanes = append(w.lanes, &lane{Writer: d.NewWriter(bucket), d: d})
		case flashtier.BucketDefault:
			if !w.lower {
				w.lanes = append(w.lanes, &lane{Writer: d.NewWriter(bucket), d: d, rank: 1})
			}
		}
	}
	return w
}

// Reserve is flashtier.Writer's. Its errors are those of a device only if there is
// none that could do better.
func (w *deviceWriter) Reserve(keyLen, maxVal int) ([]byte, error) {
	if w.at != nil {
		dst, err := w.at.Reserve(keyLen, maxVal)
		if err == nil || errors.Is(err, flashtier.ErrBufferFull) || errors.Is(err, flashtier.ErrTooLarge) {
			return dst, err
		}
		w.at = nil // there was nothing in the buffer, and it has been let go
	}
	return w.begin(keyLen, maxVal)
}

// begin reserves in a new write buffer.
func (w *deviceWriter) begin(keyLen, maxVal int) ([]byte, error) {
	if len(w.lanes) > 1 {
		slices.SortStableFunc(w.lanes, func(a, b *lane) int {
			return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.written, b.written))
		})
	}
	var worst error
	var passed []*lane
	for _, l := range w.lanes {
		if l.rank > 0 && errors.Is(worst, flashtier.ErrBusy) {
			break // a buffer of the bucket's own device will be free in a moment
		}
		dst, err := l.reserve(keyLen, maxVal)
		if err == nil {
			w.at = l
			for _, p := range passed {
				p.written = max(p.written, l.written) // or it would get all once it takes something
			}
			return dst, nil
		}
		if !errors.Is(err, flashtier.ErrBusy) {
			passed = append(passed, l)
		}
		if worst == nil || hope(err) > hope(worst) {
			worst = err
		}
	}
	return nil, worst
}

// reserve is Reserve, but that a device which was taken out takes nothing.
func (l *lane) reserve(keyLen, maxVal int) ([]byte, error) {
	if l.d.gone.Load() {
		return nil, flashtier.ErrDeviceOut
	}
	return l.Reserve(keyLen, maxVal)
}

// hope is how much there is in trying again after err: a buffer comes back by
// itself, a page takes reclaiming, a device takes time.
func hope(err error) int {
	for i, of := range []error{flashtier.ErrBusy, flashtier.ErrNoPage, flashtier.ErrIO} {
		if errors.Is(err, of) {
			return 3 - i
		}
	}
	return 0
}

// Commit is flashtier.Writer's.
func (w *deviceWriter) Commit(hash uint64, key, val []byte, flags, exptime uint32, cas uint64, state uint8) (flashtier.Addr, error) {
	l := w.at
	a, err := l.Writer.Commit(hash, key, val, flags, exptime, cas, state)
	if err != nil {
		return 0, err
	}
	l.written += float64(flashtier.ClassSize(a.Class())) / float64(l.d.size)
	return l.d.through(a), nil
}

// Flush is flashtier.Writer's. What follows may go to another device.
func (w *deviceWriter) Flush() (*flashtier.Batch, error) {
	if w.at == nil {
		return nil, nil
	}
	b, err := w.at.Flush()
	if b != nil || err != nil {
		w.at = nil
	}
	return b, err
}
