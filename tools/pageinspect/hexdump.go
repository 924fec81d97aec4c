package pageinspect

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/hearthcache/hearth/flashtier"
)

// Range is what of a page Hexdump shows.
type Range struct {
	From, To int64 // bytes of the page; a To of 0 is its end
	Full     bool  // values and runs of entries in full, else their beginnings
}

const (
	hexLine  = 16 // bytes on a line
	hexShort = 4  // lines of a field that is not shown in full
)

// Hexdump writes the bytes of p's parts that overlap r, with what each field says.
// The error is ErrBadPlaces if something cannot be read.
func (d *Dir) Hexdump(ctx context.Context, out io.Writer, p *Page, r Range) error {
	f, head, err := p.open()
	if err != nil {
		return err
	}
	if f == nil {
		return fmt.Errorf("%s: %w", p.Name, head.HeaderErr)
	}
	defer f.Close() // only read from
	w := bufio.NewWriter(out)
	x := hexdump{w, r}
	s := scanner{older: true, free: true, head: head}
	bad := head.HeaderErr != nil || head.TrailerErr != nil
	x.end(f, 0, flashtier.HeaderSize, "page header", head.HeaderErr, flashtier.HeaderFields)
	err = s.parts(p, f, func(f *Found) error {
		bad = bad || f.Kind == flashtier.PartBad
		x.part(f)
		return ctx.Err()
	})
	if n := head.Walk.Size; n > 0 {
		at := flashtier.TrailerOffset(n)
		x.end(f, at, n-at, "page trailer", head.TrailerErr, flashtier.TrailerFields)
	}
	if err = errors.Join(err, w.Flush()); err == nil && bad {
		err = ErrBadPlaces
	}
	return err
}

// hexdump is the state of a Hexdump.
type hexdump struct {
	w io.Writer
	r Range
}

// shows tells whether bytes of the page are wanted.
func (x *hexdump) shows(at, n int64) bool {
	return at+n > x.r.From && (x.r.To == 0 || at < x.r.To)
}

// end shows header or trailer.
func (x *hexdump) end(f io.ReaderAt, at, n int64, name string, why error, fields func([]byte) []flashtier.Field) {
	if !x.shows(at, n) {
		return
	}
	b := make([]byte, n)
	got, _ := f.ReadAt(b, at)
	b = b[:got]
	title := name
	if why != nil {
		title += ": " + reason(why)
	}
	x.title(at, n, title)
	x.fields(at, b, fields(b))
}

func (x *hexdump) part(f *Found) {
	if !x.shows(f.Offset, f.Size) {
		return
	}
	switch f.Kind {
	case flashtier.PartRecord:
		x.title(f.Offset, f.Size, fmt.Sprintf("record of %s: %s", ShowKey(f.Record.Key, false), f.State))
	case flashtier.PartIndex:
		x.title(f.Offset, f.Size, fmt.Sprintf("index frame of extent %d", f.Extent))
	case flashtier.PartBad:
		x.title(f.Offset, f.Size, "bad: "+reason(f.Err))
	case flashtier.PartSpace:
		x.title(f.Offset, f.Size, "not written in this life of the page")
	}
	x.fields(f.Offset, f.Bytes, f.Fields())
}

func (x *hexdump) title(at, n int64, text string) {
	fmt.Fprintf(x.w, "\n%08x  %s, %d bytes\n", at, text, n)
}

// fields shows fields of b, which lies at base in the page.
func (x *hexdump) fields(base int64, b []byte, list []flashtier.Field) {
	for i, f := range list {
		if !x.r.Full && i >= 4*hexLine && len(list)-i > hexShort {
			fmt.Fprintf(x.w, "%8s  %d more fields\n", "...", len(list)-i)
			return
		}
		x.field(base+int64(f.Offset), b[f.Offset:f.Offset+f.Size], f)
	}
}

func (x *hexdump) field(at int64, b []byte, f flashtier.Field) {
	note := f.Name
	if f.Value != "" && note != "" {
		note += " "
	}
	note += f.Value
	most := hexShort
	if f.Name == "padding" {
		most = 1
	}
	for line := 0; len(b) > 0; line++ {
		if !x.r.Full && line == most {
			fmt.Fprintf(x.w, "%8s  %d bytes more\n", "...", len(b))
			return
		}
		n := min(len(b), hexLine)
		if line > 0 || f.Name == "key" || f.Name == "value" {
			note = fmt.Sprintf("%-16s  %s", printable(b[:n]), note)
		}
		fmt.Fprintf(x.w, "%08x  %-47s  %s\n", at, fmt.Sprintf("% x", b[:n]), note)
		at, b, note = at+int64(n), b[n:], ""
	}
}

// printable shows bytes as characters, as far as they are.
func printable(b []byte) string {
	out := make([]byte, len(b))
	for i, c := range b {
		if out[i] = c; c < ' ' || c > '~' {
			out[i] = '.'
		}
	}
	return string(out)
}
