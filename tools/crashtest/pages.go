package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hearthcache/hearth/flashtier"
	"github.com/hearthcache/hearth/tools/loadgen"
)

// mostBuffers is how many write buffers can be on their way at a time: four in
// the hands of the demoter, and eight that wait for the catalog.
const mostBuffers = 12

// pages is what the page files say of each key, as they lie there after a kill,
// whatever the catalog says of them.
type pages struct {
	newest  []onPage // by key
	extents int      // so far
}

// onPage is the newest record of a key.
type onPage struct {
	version uint64 // of the value; 0 is no record
	cas     uint64
	extent  int
}

func newPages(keys int) *pages { return &pages{newest: make([]onPage, keys)} }

// scan reads all page files in dir.
func (p *pages) scan(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.page"))
	if err != nil {
		return err
	}
	for _, name := range files {
		image, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("scan pages: %w", err)
		}
		s, err := flashtier.NewScanner(image)
		if err != nil {
			continue // made, but not written
		}
		p.scanPage(s)
	}
	return nil
}

// scanPage notes the records of a page, and which came in one write buffer: those
// between which nothing is.
func (p *pages) scanPage(s *flashtier.Scanner) {
	end := int64(-1)
	for s.Next() {
		rec, err := s.Record()
		if err != nil {
			end = -1
			continue
		}
		size := s.Header().Size
		if at := int64(rec.Addr.Place()*8) % size; at != end {
			p.extents++
		}
		end = s.Offset()
		key, ok := loadgen.KeyNumber(rec.Key)
		if !ok || key >= uint64(len(p.newest)) {
			continue
		}
		if k := &p.newest[key]; cmp.Compare(rec.CAS, k.cas) >= 0 {
			*k = onPage{version: loadgen.VersionOf(key, rec.Value), cas: rec.CAS, extent: p.extents}
		}
	}
}

// finding is what came back of what was on flash.
type finding struct {
	expected    int // keys whose last answered value is in a page file
	back        int
	buffers     int // extents of which nothing is back
	uncommitted int // keys in them
	lost        int // keys that are not back though others of their extent are
}

// known is what a ledger knows.
type known interface {
	Answered(key uint64) (version uint64, sure bool)
	Found(key uint64) (version uint64)
}

// against compares the pages with what came back. A write buffer enters the
// catalog as a whole or not at all, so what is missing must be in buffers of which
// nothing is back.
func (p *pages) against(l known) (f finding) {
	type tally struct{ expected, back int }
	of := make([]tally, p.extents+1)
	for key, k := range p.newest {
		version, sure := l.Answered(uint64(key))
		if k.version == 0 || !sure || k.version != version {
			continue
		}
		of[k.extent].expected++
		if l.Found(uint64(key)) == version {
			of[k.extent].back++
		}
	}
	for _, x := range of {
		f.expected += x.expected
		f.back += x.back
		switch missing := x.expected - x.back; {
		case missing > 0 && x.back == 0:
			f.buffers++
			f.uncommitted += missing
		default:
			f.lost += missing
		}
	}
	return f
}
