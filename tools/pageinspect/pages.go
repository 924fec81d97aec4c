package pageinspect

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/hearthcache/hearth/flashtier"
)

// ErrBadPlaces is returned after all that could be read was shown, if something
// could not.
var ErrBadPlaces = errors.New("there are places in pages that have no sound record; verify tells more")

// PrintPages writes a line a page.
func (d *Dir) PrintPages(out io.Writer, tally []PageTally) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "page\tcondition\tversion\tbucket\tcreated\textents\tlive\texpired\tdead\tunknown\tbad\tused\tlive bytes\t")
	for i := range tally {
		t := &tally[i]
		fmt.Fprintf(w, "%d\t%s\t", t.ID, t.Condition)
		if t.HeaderErr == nil && t.Condition != Missing {
			fmt.Fprintf(w, "%d\t%s\t%s\t", t.Header.Version, flashtier.BucketName(t.Header.Bucket), when(uint32(t.Header.Created)))
		} else {
			fmt.Fprint(w, "-\t-\t-\t")
		}
		if t.Condition == Free || t.Walk.Size == 0 {
			fmt.Fprintln(w, "-\t-\t-\t-\t-\t-\t-\t-\t")
			continue
		}
		fmt.Fprintf(w, "%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t\n", t.Extents, t.By[Live].Records, t.By[Expired].Records,
			t.By[Dead].Records+t.By[Flushed].Records, t.By[Unknown].Records, t.Bad.Records, size(t.Used()), size(t.By[Live].Bytes))
	}
	return w.Flush()
}

// PrintPage writes what is in p, a line for each thing, with its place and its
// size, also what older lives have left. The error is ErrBadPlaces if something
// cannot be read.
func (d *Dir) PrintPage(ctx context.Context, out io.Writer, p *Page, hexKeys bool) error {
	s := scanner{older: true, free: true}
	w := bufio.NewWriter(out)
	f, head, err := p.open()
	if err != nil {
		return err
	}
	printHeader(w, p, head)
	if f == nil {
		return errors.Join(w.Flush(), ErrBadPlaces)
	}
	defer f.Close() // only read from
	s.head = head
	bad := head.HeaderErr != nil || head.TrailerErr != nil
	err = s.parts(p, f, func(f *Found) error {
		bad = bad || f.Kind == flashtier.PartBad
		printPart(w, f, hexKeys)
		return ctx.Err()
	})
	printTrailer(w, head)
	if err = errors.Join(err, w.Flush()); err == nil && bad {
		err = ErrBadPlaces
	}
	return err
}

const partLine = "%10d %9d  %-9s"

func printHeader(w io.Writer, p *Page, h *Head) {
	fmt.Fprintf(w, "%s: %s\n", p.Name, h.Condition)
	fmt.Fprintf(w, "%10s %9s\n", "offset", "bytes")
	if h.HeaderErr != nil {
		fmt.Fprintf(w, partLine+"%s\n", 0, flashtier.HeaderSize, "bad", "page header: "+reason(h.HeaderErr))
		return
	}
	x := h.Header
	fmt.Fprintf(w, partLine+"page %d, version %d, %d bytes, created %s, %s\n",
		0, flashtier.HeaderSize, "header", x.ID, x.Version, x.Size, when(uint32(x.Created)), flashtier.BucketName(x.Bucket))
}

func printPart(w io.Writer, f *Found, hexKeys bool) {
	switch f.Kind {
	case flashtier.PartRecord:
		fmt.Fprintf(w, partLine+"%s\n", f.Offset, f.Size, "record", describe(f, hexKeys))
	case flashtier.PartIndex:
		fmt.Fprintf(w, partLine+"of extent %d: %s\n", f.Offset, f.Size, "index", f.Extent, plural(len(f.Entries(nil)), "record"))
	case flashtier.PartBad:
		key := ""
		if len(f.Record.Key) > 0 {
			key = " (it seems to be of " + ShowKey(f.Record.Key, hexKeys) + ")"
		}
		fmt.Fprintf(w, partLine+"%s%s\n", f.Offset, f.Size, "bad", reason(f.Err), key)
	case flashtier.PartSpace:
		fmt.Fprintf(w, partLine+"not written in this life of the page\n", f.Offset, f.Size, "space")
	}
}

// describe is a record on one line.
func describe(f *Found, hexKeys bool) string {
	life := ""
	if f.State == Older {
		life = fmt.Sprintf(" version %d", f.Version)
	}
	return fmt.Sprintf("%s: %s%s, value %d bytes, flags %d, CAS %d, expires %s, state bits %d",
		ShowKey(f.Record.Key, hexKeys), f.State, life, len(f.Record.Value), f.Record.Flags, f.Record.CAS, expires(f.Exptime), f.Record.State)
}

func printTrailer(w io.Writer, h *Head) {
	if h.Walk.Size == 0 {
		return
	}
	at := flashtier.TrailerOffset(h.Walk.Size)
	n := h.Walk.Size - at
	switch t := h.Trailer; {
	case h.TrailerErr != nil:
		fmt.Fprintf(w, partLine+"%s\n", at, n, "bad", "page trailer: "+reason(h.TrailerErr))
	case t.Version == 0:
		fmt.Fprintf(w, partLine+"not written in this life of the page\n", at, n, "trailer")
	default:
		fmt.Fprintf(w, partLine+"%s, %s, sealed %s\n", at, n, "trailer", plural(len(t.Extents), "extent"), plural(t.Records, "record"), when(uint32(t.Sealed)))
	}
}
