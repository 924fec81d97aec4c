// Package watch is the log behind memcached's watch command: what happens to items
// and connections, line by line, for the clients that ask to see it. It costs
// nearly nothing while nobody watches; one who watches and does not read loses
// lines, is told how many, and holds up nobody.
package watch

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// ErrTooMany refuses a watcher over the limit.
var ErrTooMany = errors.New("watch: too many watchers")

// Most is how many may watch at a time.
const Most = 20

// Kind is a set of kinds of events.
type Kind uint32

// The kinds of events, each with its name as an argument of watch.
const (
	Fetchers   Kind = 1 << iota // an item is looked up, also by a command that changes it
	Mutations                   // a value is stored, or refused
	Evictions                   // an item leaves RAM for want of room, also to flash
	Deletions                   // an item is deleted
	ConnEvents                  // a connection is opened or closed
	SysEvents                   // the server does something by itself
)

// kinds are the arguments of watch.
var kinds = map[string]Kind{
	"fetchers": Fetchers, "mutations": Mutations, "evictions": Evictions, "deletions": Deletions,
	"connevents": ConnEvents, "sysevents": SysEvents,
	"rawcmds": 0, // known to memcached, which logs nothing under it either
}

// ParseKind returns the kind that a word of watch asks for.
func ParseKind(word string) (k Kind, ok bool) {
	k, ok = kinds[word]
	return k, ok
}

// Log hands out lines to those who watch. Its methods may be called by several
// goroutines at once and never block. The zero Log is not ready: see New.
type Log struct {
	size   int
	wanted atomic.Uint32 // all kinds that somebody watches
	gid    atomic.Uint64 // of the last line

	written, sent, skipped atomic.Uint64

	mu       sync.Mutex // guards watchers, and buf and lost of each
	watchers []*Watcher
}

// New makes a Log that keeps up to size bytes for one who does not read.
func New(size int) *Log { return &Log{size: size} }

// Wants tells whether somebody watches events of kind k: one atomic load. The
// methods that log need not be called otherwise.
func (l *Log) Wants(k Kind) bool { return Kind(l.wanted.Load())&k != 0 }

// Stats are a Log's counters since New, and how many watch.
type Stats struct {
	Watchers int
	Written  uint64 // lines made
	Sent     uint64 // lines given to watchers
	Skipped  uint64 // lines that a watcher's buffer had no room for
}

// Stats returns the counters.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{len(l.watchers), l.written.Load(), l.sent.Load(), l.skipped.Load()}
}

// Watcher is one who watches.
type Watcher struct {
	log    *Log
	kinds  Kind
	notify func()

	buf  []byte // lines not taken yet
	lost uint64 // lines left out behind them
	out  []byte // the other buffer; of Take alone
}

// Add has a new Watcher get the lines of some kinds from now on, behind greeting.
// notify is called, by whoever logs, when there is something to take again; it
// must not block.
func (l *Log) Add(k Kind, greeting string, notify func()) (*Watcher, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.watchers) >= Most {
		return nil, ErrTooMany
	}
	w := &Watcher{log: l, kinds: k, notify: notify, buf: []byte(greeting)}
	l.watchers = append(l.watchers, w)
	l.wanted.Or(uint32(k))
	return w, nil
}

// Take appends to dst what there is for w, and forgets it.
func (w *Watcher) Take(dst []byte) []byte {
	w.log.mu.Lock()
	w.buf, w.out = w.out[:0], w.buf
	w.log.mu.Unlock()
	return append(dst, w.out...)
}

// Close ends the watch.
func (w *Watcher) Close() {
	l := w.log
	l.mu.Lock()
	defer l.mu.Unlock()
	wanted, kept := Kind(0), l.watchers[:0]
	for _, other := range l.watchers {
		if other != w {
			kept = append(kept, other)
			wanted |= other.kinds
		}
	}
	clear(l.watchers[len(kept):])
	l.watchers = kept
	l.wanted.Store(uint32(wanted))
}

// begin appends how each line begins. The number puts lines in order that were
// made on several event loops at once.
func (l *Log) begin(b []byte, event string) []byte {
	now := time.Now()
	b = append(b, "ts="...)
	b = strconv.AppendInt(b, now.Unix(), 10)
	b = append(b, '.')
	b = strconv.AppendInt(b, int64(now.Nanosecond()/1000), 10)
	b = append(b, " gid="...)
	b = strconv.AppendUint(b, l.gid.Add(1), 10)
	b = append(b, " type="...)
	return append(b, event...)
}

// publish ends a line and gives it to those who watch its kind.
func (l *Log) publish(k Kind, line []byte) {
	line = append(line, '\n')
	l.written.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.watchers {
		if w.kinds&k != 0 {
			w.giveLocked(line)
		}
	}
}

// giveLocked appends a line to the buffer, if it has room. It needs the log's mu.
func (w *Watcher) giveLocked(line []byte) {
	const notice = len("skipped=18446744073709551615\n")
	if len(w.buf)+len(line)+notice > w.log.size {
		w.lost++
		w.log.skipped.Add(1)
		return
	}
	empty := len(w.buf) == 0
	if w.lost > 0 {
		w.buf = append(strconv.AppendUint(append(w.buf, "skipped="...), w.lost, 10), '\n')
		w.lost = 0
	}
	w.buf = append(w.buf, line...)
	w.log.sent.Add(1)
	if empty {
		w.notify()
	}
}
