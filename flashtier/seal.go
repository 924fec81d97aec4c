package flashtier

import (
	"errors"

	"github.com/hearthcache/hearth/ioq"
)

// seal is the write of a page's trailer, and of its header where the write that
// carried it failed. Nobody waits for it but Close, and Free, because a late
// trailer must not fall into the page's next life. So its outcome is looked at
// when the next page is sealed or freed.
type seal struct {
	page    *page
	header  ioq.Op
	trailer ioq.Op
	mem     []byte // of both
	both    bool   // the header is written, too
	awaited bool   // Free or Close waits: they alone may reap it
}

// newSealLocked makes the seal of p, whose writes are all done; mu is held. It
// counts as a write of p until it has been submitted.
func (t *Tier) newSealLocked(p *page) *seal {
	t.reapSealsLocked()
	var s *seal
	if n := len(t.idleSeals); n > 0 {
		s = t.idleSeals[n-1]
		t.idleSeals = t.idleSeals[:n-1]
	} else {
		s = &seal{mem: alignedBlocks(blockSize + trailerSize)}
	}
	s.page, s.both, s.awaited = p, p.headless, false
	p.seal = s
	p.writes++
	t.seals = append(t.seals, s)
	return s
}

// startSeal submits s, if it is not nil. Only then may the page become a victim,
// or Free could wait for what is not on its way.
func (t *Tier) startSeal(s *seal) {
	if s == nil {
		return
	}
	p := s.page
	version := p.version.Load()
	if s.both {
		block := s.mem[:blockSize]
		EncodeHeader(block, t.headerOf(p))
		s.header.File, s.header.Kind, s.header.Off, s.header.Buf = p.file, ioq.Write, 0, block
		t.counts.deviceBytes.Add(blockSize)
		s.header.SubmitTo(t.queue)
	}
	blocks := s.mem[blockSize:]
	EncodeTrailer(blocks, Trailer{
		ID: p.id, Version: version, Records: p.records,
		Sealed: uint64(t.opt.Now()), Extents: p.extents,
	})
	s.trailer.File, s.trailer.Kind, s.trailer.Off, s.trailer.Buf = p.file, ioq.Write, dataEnd(t.pageSize), blocks
	t.counts.deviceBytes.Add(uint64(len(blocks)))
	s.trailer.SubmitTo(t.queue)

	t.mu.Lock()
	defer t.mu.Unlock()
	p.writes--
	if p.is() == PageRetired {
		t.settlePageLocked(p)
		return
	}
	t.sealed = append(t.sealed, p.id)
}

func (s *seal) done() bool { return s.trailer.Done() && (!s.both || s.header.Done()) }

func (s *seal) wait() {
	s.trailer.Wait()
	if s.both {
		s.header.Wait()
	}
}

// reapSealsLocked takes the outcome of seals that are done; mu is held. A page
// without a trailer stays readable in this run.
func (t *Tier) reapSealsLocked() {
	going := t.seals[:0]
	for _, s := range t.seals {
		if s.awaited || !s.done() {
			going = append(going, s)
			continue
		}
		t.reapLocked(s)
	}
	clear(t.seals[len(going):])
	t.seals = going
}

func (t *Tier) reapLocked(s *seal) {
	if s.trailer.Err != nil || s.both && s.header.Err != nil {
		t.counts.writeErrors.Add(1)
		if !noSpace(errors.Join(s.trailer.Err, s.header.Err)) {
			s.page.faults.Add(1)
		}
	}
	s.trailer.Reset()
	if s.both {
		s.header.Reset()
	}
	s.page.seal = nil
	s.page = nil
	t.idleSeals = append(t.idleSeals, s)
}

// awaitSealLocked returns when p has no seal in flight; mu is held at entry and
// exit, and let go meanwhile.
func (t *Tier) awaitSealLocked(p *page) {
	s := p.seal
	if s == nil {
		return
	}
	s.awaited = true
	t.mu.Unlock()
	s.wait()
	t.mu.Lock()
	s.awaited = false
	t.reapSealsLocked()
}
