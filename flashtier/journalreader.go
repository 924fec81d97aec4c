package flashtier

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrNoJournal is returned by OpenJournal for a directory that has none, or one
// whose header is broken.
var ErrNoJournal = errJournal

// JournalReader tells what the journal of a directory says, and changes nothing.
// It may be of a server that runs, and goes on changing then.
type JournalReader struct {
	j *journal

	Identity uint64 // of the catalog it belongs to
	Seed     uint64 // of the hash of keys
	Room     uint64 // entries it has places for
	Head     uint64 // entries there ever were
	Batches  uint64 // those that the catalog had when it was last heard of
	Lost     bool   // entries have been lost
}

// JournalEntry is a change that a restart must know.
type JournalEntry struct {
	Number  uint64 // counts all entries there ever were
	Offset  int64  // in the journal, bytes
	Flush   bool   // all of earlier generations is dead; Version is the new one
	Page    PageID
	Version uint32 // of the page
	Change  RecordChange
	Err     error // why it cannot be used
}

// errEntry says that the place of an entry has something else.
var errEntry = errors.New("flashtier: journal entry is not whole")

// OpenJournal opens the journal in dir for reading. The error wraps ErrNoJournal
// if there is none that can be used, or is ErrFormat. Close it.
func OpenJournal(dir string) (*JournalReader, error) {
	j, err := openJournalFor(journalPath(dir), os.O_RDONLY, unix.PROT_READ)
	if err != nil {
		return nil, err
	}
	return &JournalReader{
		j: j, Identity: j.identity(), Seed: j.seed(), Room: j.n,
		Head: j.head.Load(), Batches: j.batches().Load(), Lost: j.lost().Load() != 0,
	}, nil
}

// Each calls fn for every entry from position on, which is the catalog's, and for
// those that should be there and are not whole. Damage says why these cannot be
// all that was appended, if they cannot: a kill leaves a few that are not whole.
func (r *JournalReader) Each(position uint64, fn func(JournalEntry)) (damage string) {
	for i := position; i < min(r.Head, position+r.j.n); i++ {
		fn(r.entry(i))
	}
	return r.j.scan(position).damage
}

func (r *JournalReader) entry(i uint64) JournalEntry {
	e, _, s := r.j.look(i)
	out := JournalEntry{Number: i, Offset: int64(journalHead + i&(r.j.n-1)*entryBytes)}
	switch s {
	case slotEmpty:
		out.Err = fmt.Errorf("%w: it was not stored", errEntry)
		return out
	case slotSpoilt:
		out.Err = fmt.Errorf("%w: checksum or number does not hold", errEntry)
		return out
	}
	out.Page, out.Version, out.Flush = e.page, e.version, e.kind == changeFlush
	out.Change = RecordChange{int64(e.unit) * unit, e.kind == changeDead, e.exptime}
	if e.kind < changeDead || e.kind > changeFlush {
		out.Err = fmt.Errorf("%w: kind %d", errEntry, e.kind)
	}
	return out
}

// Close lets the journal go.
func (r *JournalReader) Close() error { return r.j.close() }
