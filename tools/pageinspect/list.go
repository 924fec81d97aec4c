package pageinspect

import (
	"bufio"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/hearthcache/hearth/flashtier"
)

// Line is a record as JSON has it.
type Line struct {
	Page        flashtier.PageID `json:"page"`
	PageVersion uint32           `json:"page_version"`
	Offset      int64            `json:"offset"` // in the page file, bytes
	Size        int64            `json:"size"`   // there, with header and padding
	State       string           `json:"state"`
	Key         string           `json:"key,omitempty"`
	KeyBase64   []byte           `json:"key_base64,omitempty"` // instead of one that is not UTF-8
	ValueSize   int              `json:"value_size"`
	Flags       uint32           `json:"flags"`
	Exptime     uint32           `json:"exptime"` // unix seconds, 0 never
	CAS         uint64           `json:"cas"`
	StateBits   uint8            `json:"state_bits,omitempty"`
	Value       *string          `json:"value,omitempty"` // base64
}

func lineOf(f *Found, value bool) Line {
	r := &f.Record
	x := Line{
		Page: f.Page.ID, PageVersion: f.Version, Offset: f.Offset, Size: f.Size, State: f.State.String(),
		ValueSize: len(r.Value), Flags: r.Flags, Exptime: f.Exptime, CAS: r.CAS, StateBits: r.State,
	}
	if utf8.Valid(r.Key) {
		x.Key = string(r.Key)
	} else {
		x.KeyBase64 = r.Key
	}
	if value {
		text := base64.StdEncoding.EncodeToString(r.Value)
		x.Value = &text
	}
	return x
}

// Lister writes records, one after the other.
type Lister struct {
	Text, CSV bool // else JSON, a line a record
	HexKeys   bool
	Values    bool // JSON only

	w     *bufio.Writer
	csv   *csv.Writer
	begun bool
}

// Begin has it write to out.
func (l *Lister) Begin(out io.Writer) {
	l.w = bufio.NewWriterSize(out, 1<<20)
	l.csv = csv.NewWriter(l.w)
}

// Write writes one record.
func (l *Lister) Write(f *Found) error {
	switch {
	case l.Text:
		_, err := fmt.Fprintf(l.w, "page %d at %d, %d bytes: %s\n", f.Page.ID, f.Offset, f.Size, describe(f, l.HexKeys))
		return err
	case l.CSV:
		return l.row(f)
	}
	b, err := json.Marshal(lineOf(f, l.Values))
	if err == nil {
		_, err = l.w.Write(append(b, '\n'))
	}
	return err
}

func (l *Lister) row(f *Found) error {
	if !l.begun {
		l.begun = true
		err := l.csv.Write([]string{"page", "page_version", "offset", "size", "state", "key", "value_size", "flags", "exptime", "cas"})
		if err != nil {
			return err
		}
	}
	u := func(n uint64) string { return strconv.FormatUint(n, 10) }
	return l.csv.Write([]string{
		u(uint64(f.Page.ID)), u(uint64(f.Version)), u(uint64(f.Offset)), u(uint64(f.Size)), f.State.String(),
		ShowKey(f.Record.Key, l.HexKeys), u(uint64(len(f.Record.Value))), u(uint64(f.Record.Flags)), u(uint64(f.Exptime)), u(f.Record.CAS),
	})
}

// End writes what is left.
func (l *Lister) End() error {
	l.csv.Flush()
	if err := l.csv.Error(); err != nil {
		return err
	}
	return l.w.Flush()
}
