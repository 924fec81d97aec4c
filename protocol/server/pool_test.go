package server

import "testing"

// TestPoolIsBounded gives a pool far more buffers than it ever lent, as Handlers
// that grow their replies do.
func TestPoolIsBounded(t *testing.T) {
	var p pool
	for _, size := range []int{bufferSize, bufferSize + 4096, keepSize, keepSize + 1} {
		for range 1000 {
			p.total.Add(int64(size))
			p.put(make([]byte, 0, size))
		}
	}
	kept := int64(len(p.small) * bufferSize)
	for _, b := range p.wide {
		kept += int64(cap(b))
	}
	if most := int64(keepSmall*bufferSize + keepTotal); kept > most || p.total.Load() != kept {
		t.Errorf("the pool keeps %d bytes, of at most %d, and counts %d", kept, most, p.total.Load())
	}
	for len(p.small)+len(p.wide) > 0 {
		p.get(0)
	}
	for _, b := range append(p.small[:cap(p.small)], p.wide[:cap(p.wide)]...) {
		if b != nil {
			t.Fatal("a buffer that was taken is still kept alive")
		}
	}
}
