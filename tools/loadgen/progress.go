package loadgen

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Snapshot is how far a run has come.
type Snapshot struct {
	Kind    Kind
	Elapsed time.Duration
	Keys    uint64 // operations answered
	Limit   uint64 // of operations; 0: none
	Misses  uint64
	Bad     uint64 // wrong or stale
	Refused uint64
	Done    bool // this is the last one
}

// Progress is told how far a run has come.
type Progress func(Snapshot)

// live has the counters others may read while a worker runs.
type live struct {
	keys, misses, bad, refused atomic.Uint64
	_                          [64]byte // the next worker's are on another cache line
}

func (l *live) publish(c *counts) {
	l.keys.Store(c.keys)
	l.misses.Store(c.misses)
	l.bad.Store(c.wrong + c.stale)
	l.refused.Store(c.refused)
}

func (l *live) addTo(s *Snapshot) {
	s.Keys += l.keys.Load()
	s.Misses += l.misses.Load()
	s.Bad += l.bad.Load()
	s.Refused += l.refused.Load()
}

// PrintProgress writes one line that renews itself each second if f is a
// terminal, otherwise a line every five seconds.
func PrintProgress(f *os.File) Progress {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err == nil {
		return (&printer{out: f, start: "\r", clear: "\x1b[K"}).print
	}
	return (&printer{out: f, end: "\n", every: 5}).print
}

// printer turns snapshots into lines.
type printer struct {
	out               io.Writer
	start, clear, end string
	every             int // print each of that many; 0: all, and erase the last
	calls             int
	last              Snapshot
}

func (p *printer) print(s Snapshot) {
	p.calls++
	if s.Done {
		fmt.Fprint(p.out, p.start, p.clear)
		p.last, p.calls = Snapshot{}, 0
		return
	}
	if p.every > 0 && p.calls%p.every != 0 {
		return
	}
	fmt.Fprint(p.out, p.start, p.line(s), p.clear, p.end)
	p.last = s
}

func (p *printer) line(s Snapshot) string {
	rate := float64(s.Keys-p.last.Keys) / max(1e-9, (s.Elapsed-p.last.Elapsed).Seconds())
	of := ""
	if s.Limit > 0 {
		of = fmt.Sprintf(" of %d (%.0f %%)", s.Limit, 100*float64(s.Keys)/float64(s.Limit))
	}
	return fmt.Sprintf("%s %3.0fs: %d%s keys, %.0f/s, %d missed, %d wrong, %d refused",
		s.Kind, s.Elapsed.Seconds(), s.Keys, of, rate, s.Misses, s.Bad, s.Refused)
}
