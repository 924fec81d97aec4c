package pageinspect

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
)

// The map's sizes, in pixels.
const (
	mapCell   = 20
	mapGap    = 4
	mapLeft   = 96 // where cells begin; ages stand before it
	mapTop    = 84
	mapRow    = 32 // pages in a row
	mapMargin = 16
)

// shade is a kind of bytes in a page and its colour.
type shade struct {
	name, colour string
	bytes        func(t *PageTally) int64
}

// shades lie in a cell from the bottom up. What is left is free.
var shades = []shade{
	{"live", "#2e9e5b", func(t *PageTally) int64 { return t.By[Live].Bytes }},
	{"unknown", "#3b7dd8", func(t *PageTally) int64 { return t.By[Unknown].Bytes }},
	{"expired", "#e0a526", func(t *PageTally) int64 { return t.By[Expired].Bytes }},
	{"dead", "#9a9a9a", func(t *PageTally) int64 { return t.By[Dead].Bytes + t.By[Flushed].Bytes }},
	{"bad", "#d03b3b", func(t *PageTally) int64 { return t.Bad.Bytes }},
}

const freeColour = "#f2f2f2"

// Map draws all pages as an SVG picture: a cell a page, filled by what is in it,
// the oldest first and those without records last.
func (d *Dir) Map(out io.Writer, tally []PageTally) error {
	pages := byAge(tally)
	rows := (len(pages) + mapRow - 1) / mapRow
	width := mapLeft + mapRow*(mapCell+mapGap) + mapMargin
	height := mapTop + rows*(mapCell+mapGap) + mapMargin
	w := bufio.NewWriter(out)
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n",
		width, height, width, height)
	fmt.Fprintf(w, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	fmt.Fprintf(w, `<text x="%d" y="28" font-size="15" fill="#222222">%d pages, %s, from old to new</text>`+"\n", mapMargin, len(pages), size(d.bytes()))
	drawLegend(w, pages)
	for i, t := range pages {
		x, y := mapLeft+i%mapRow*(mapCell+mapGap), mapTop+i/mapRow*(mapCell+mapGap)
		if i%mapRow == 0 {
			fmt.Fprintf(w, `<text x="%d" y="%d" text-anchor="end" fill="#555555">%s</text>`+"\n", mapLeft-10, y+mapCell-5, d.age(t))
		}
		drawPage(w, t, x, y)
	}
	fmt.Fprintln(w, "</svg>")
	return w.Flush()
}

// byAge sorts pages with records by when they were begun, and the others behind
// them.
func byAge(tally []PageTally) []*PageTally {
	pages := make([]*PageTally, len(tally))
	for i := range tally {
		pages[i] = &tally[i]
	}
	slices.SortStableFunc(pages, func(a, b *PageTally) int {
		return cmp.Or(cmp.Compare(a.vacant(), b.vacant()), cmp.Compare(a.Header.Created, b.Header.Created), cmp.Compare(a.ID, b.ID))
	})
	return pages
}

// vacant is 1 for a page without records, and 0 for others.
func (t *PageTally) vacant() int {
	if t.Used()+t.Bad.Bytes == 0 {
		return 1
	}
	return 0
}

// age is how long ago t was begun.
func (d *Dir) age(t *PageTally) string {
	if t.vacant() == 1 {
		return "free"
	}
	return span(d.Now - min(d.Now, uint32(t.Header.Created)))
}

func drawLegend(w io.Writer, pages []*PageTally) {
	x, used, all := mapMargin, int64(0), int64(0)
	put := func(name, colour string, n int64) {
		fmt.Fprintf(w, `<rect x="%d" y="44" width="12" height="12" fill="%s" stroke="#bbbbbb"/>`, x, colour)
		fmt.Fprintf(w, `<text x="%d" y="54" fill="#222222">%s %s</text>`+"\n", x+18, name, size(n))
		x += 130
	}
	for _, t := range pages {
		all += t.FileSize
	}
	for _, s := range shades {
		n := int64(0)
		for _, t := range pages {
			n += s.bytes(t)
		}
		if used += n; n > 0 {
			put(s.name, s.colour, n)
		}
	}
	put("free", freeColour, max(0, all-used))
}

func drawPage(w io.Writer, t *PageTally, x, y int) {
	fmt.Fprintf(w, `<g><title>page %d, %s`, t.ID, t.Condition)
	for _, s := range shades {
		if n := s.bytes(t); n > 0 {
			fmt.Fprintf(w, ", %s %s", s.name, size(n))
		}
	}
	fmt.Fprintf(w, `</title><rect x="%d" y="%d" width="%d" height="%d" fill="%s" stroke="%s"/>`, x, y, mapCell, mapCell, freeColour, outline(t))
	whole := float64(max(t.Walk.Size, t.Used(), 1))
	bottom := float64(y + mapCell)
	for _, s := range shades {
		if n := s.bytes(t); n > 0 {
			h := float64(n) / whole * mapCell
			bottom -= h
			fmt.Fprintf(w, `<rect x="%d" y="%.2f" width="%d" height="%.2f" fill="%s"/>`, x, bottom, mapCell, h, s.colour)
		}
	}
	fmt.Fprintln(w, "</g>")
}

// outline is the colour around a page: red if it cannot be read.
func outline(t *PageTally) string {
	if t.Condition == Broken || t.Condition == Missing || t.TrailerErr != nil {
		return "#d03b3b"
	}
	return "#bbbbbb"
}
