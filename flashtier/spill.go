package flashtier

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// trace is what a rebuild has to know of a record to find the newest of its key.
type trace struct {
	hash uint64
	cas  uint64
	addr uint64
}

// compare sorts by hash, and the newest of a hash last.
func (a trace) compare(b trace) int {
	return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.cas, b.cas), cmp.Compare(a.addr, b.addr))
}

const (
	traceBytes = 24
	spillChunk = traceBytes * 512
)

// spill keeps traces on disk, by the top bits of their hash, so that a rebuild
// takes memory for only a share of them at a time.
type spill struct {
	file *os.File // has no name any more
	mu   sync.Mutex
	end  int64
	part [partitions]spillPart
}

// spillPart is a share of the traces.
type spillPart struct {
	mu     sync.Mutex
	buf    []byte  // not written yet
	chunks []int64 // where the others are, spillChunk bytes each
}

func newSpill(dir string) (*spill, error) {
	path := filepath.Join(dir, "rebuild.tmp")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create spill file: %w", err)
	}
	if err := os.Remove(path); err != nil {
		return nil, errors.Join(fmt.Errorf("create spill file: %w", err), f.Close())
	}
	return &spill{file: f}, nil
}

func (s *spill) close() { s.file.Close() } // its contents are of no more use

func (s *spill) add(x trace) error {
	p := &s.part[x.hash>>partShift]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.buf = le.AppendUint64(le.AppendUint64(le.AppendUint64(p.buf, x.hash), x.cas), x.addr)
	if len(p.buf) < spillChunk {
		return nil
	}
	return s.write(p)
}

// write moves p's buffer to the file; p.mu is held.
func (s *spill) write(p *spillPart) error {
	s.mu.Lock()
	at := s.end
	s.end += spillChunk
	s.mu.Unlock()
	if _, err := s.file.WriteAt(p.buf, at); err != nil {
		return fmt.Errorf("write spill file: %w", err)
	}
	p.chunks = append(p.chunks, at)
	p.buf = p.buf[:0]
	return nil
}

// partition gives the traces whose hashes have the top bits i.
func (s *spill) partition(i int) ([]trace, error) {
	p := &s.part[i]
	b := make([]byte, len(p.chunks)*spillChunk, len(p.chunks)*spillChunk+len(p.buf))
	for n, at := range p.chunks {
		if _, err := s.file.ReadAt(b[n*spillChunk:(n+1)*spillChunk], at); err != nil {
			return nil, fmt.Errorf("read spill file: %w", err)
		}
	}
	b = append(b, p.buf...)
	traces := make([]trace, len(b)/traceBytes)
	for i := range traces {
		x := b[i*traceBytes:]
		traces[i] = trace{le.Uint64(x), le.Uint64(x[8:]), le.Uint64(x[16:])}
	}
	return traces, nil
}
