package main

import (
	"math"

	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
)

const (
	// dumpPiece is how many bytes of a list are sent at a time.
	dumpPiece = 16 << 10
	// dumpTurn is how many items are looked at before others have their turn.
	dumpTurn = 1000
)

// dump is a list of items on its way to a client. While records are being read
// for it, their pages cannot be reclaimed: so it gives a piece only when no read
// is under way, and begins none while the client has not taken what it was given.
type dump struct {
	h      *admin
	c      *server.Conn
	scan   *hearth.Scan
	which  func(class int) bool // nil is any
	form   *dumpForm
	items  int  // that may still be listed
	bytes  int  // the same
	crawls bool // it has the crawler
	buf    []byte
}

// Step goes on with the list.
func (d *dump) Step(dst []byte) ([]byte, bool) {
	for range dumpTurn {
		switch d.scan.Next() {
		case hearth.Pending:
			return dst, false
		case hearth.Miss:
			if d.crawls {
				d.h.crawler.end()
			}
			return append(append(dst, d.buf...), d.form.end...), true
		}
		if class := classOfScanned(d.scan); len(d.scan.Key) > 0 && (d.which == nil || d.which(class)) {
			d.list(class)
		}
		if len(d.buf) >= dumpPiece {
			dst = append(dst, d.buf...)
			d.buf = d.buf[:0]
			return dst, false
		}
	}
	d.c.Notify(0) // to go on after the others
	return dst, false
}

// list puts the item that the scan is at on the list, and ends the scan when there
// may be no more.
func (d *dump) list(class int) {
	before := len(d.buf)
	if d.h.config.NoCAS {
		d.scan.Meta.CAS = 0
	}
	d.buf = d.form.line(d.buf, d.scan, class)
	d.items--
	if d.bytes -= len(d.buf) - before; d.items <= 0 || d.bytes <= 0 {
		d.scan.Stop()
	}
}

// Ended ends the list early once nobody reads it.
func (d *dump) Ended(gone bool) {
	if gone {
		d.scan.Stop()
	}
}

func classOfScanned(s *hearth.Scan) int {
	if s.OnFlash {
		return hearth.FlashClass
	}
	return hearth.ClassOf(len(s.Key), s.Meta.Size)
}

// newDump begins a list. Records on flash are read only if they may be listed.
func (h *admin) newDump(c *server.Conn, which func(int) bool, form *dumpForm) *dump {
	read := which == nil || which(hearth.FlashClass)
	return &dump{h: h, c: c, which: which, form: form, items: math.MaxInt, bytes: math.MaxInt, scan: h.cache.NewScan(read, c, 0)}
}

// startDump answers lru_crawler metadump and mgdump.
func (h *admin) startDump(c *server.Conn, r *protocol.Request, name, list string, dst []byte) ([]byte, server.Pending) {
	form := dumpForms[name]
	which, refusal := crawlClasses(list)
	switch {
	case r.Noreply:
		return dst, nil
	case h.reported("lru_crawler") != "yes":
		refusal = crawlerDisabled
	case h.config.NoDump:
		refusal = form.disabled
	case len(dst) > 0: // as memcached, though here it would do no harm
		refusal = "ERROR cannot pipeline other commands before " + name + "\r\n"
	case refusal == "" && !h.crawler.begin():
		refusal = crawlerBusy
	}
	if refusal != "" {
		return append(dst, refusal...), nil
	}
	d := h.newDump(c, which, form)
	d.crawls = true
	return dst, d
}

// cachedumpBytes is the most that stats cachedump lists, as in memcached.
const cachedumpBytes = 2 << 20

// startCachedump answers stats cachedump.
func (h *admin) startCachedump(c *server.Conn, r *protocol.Request, args []string, dst []byte) ([]byte, server.Pending) {
	refuse := func(why string) ([]byte, server.Pending) { return protocol.AppendClientError(dst, r, why), nil }
	if h.config.NoDump {
		return refuse("stats cachedump not allowed")
	}
	if len(args) < 2 {
		return refuse("bad command line")
	}
	class, okClass := number32(args[0])
	most, okMost := number32(args[1])
	switch {
	case !okClass || !okMost:
		return refuse("bad command line format")
	case class >= classes:
		return refuse("Illegal slab id")
	}
	d := h.newDump(c, func(n int) bool { return n == int(class) }, dumpForms["cachedump"])
	d.bytes = cachedumpBytes
	if most > 0 {
		d.items = int(most)
	}
	return dst, d
}
