package soak

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Graphs are drawn at this size, 900 by 420 pixels in PNG.
const (
	graphWidth  = 900 * vg.Inch / 96
	graphHeight = 420 * vg.Inch / 96
)

// graph is a picture of some numbers over time.
type graph struct {
	name, title, unit string
	logarithmic       bool
	lines             []line
}

// line is one number of a graph.
type line struct {
	label string
	value func(now, before Sample) float64 // before is rateSpan samples ago; NaN is a gap
	scale float64                          // value is multiplied by it
}

// rateSpan is over how many samples rates and ratios are taken.
const rateSpan = 10

// state is a number as it is.
func state(name string) func(now, before Sample) float64 {
	return func(now, _ Sample) float64 { return value(now, name) }
}

// rate is what a total gains in a second.
func rate(name string) func(now, before Sample) float64 {
	return func(now, before Sample) float64 {
		return (value(now, name) - value(before, name)) / (now.At - before.At).Seconds()
	}
}

// share is what one total gains, in parts of what it and another gain.
func share(name, other string) func(now, before Sample) float64 {
	return func(now, before Sample) float64 {
		gained := value(now, name) - value(before, name)
		return gained / (gained + value(now, other) - value(before, other))
	}
}

func value(s Sample, name string) float64 {
	if v, has := s.Values[name]; has {
		return v
	}
	return math.NaN()
}

var graphs = []graph{
	{"memory", "Memory of the server", "MiB", false, []line{
		{"resident", state("process_rss_bytes"), 1. / mebi},
		{"of it no file's", state("process_anon_bytes"), 1. / mebi},
		{"-m", state("stat_limit_maxbytes"), 1. / mebi},
	}},
	{"go-heap", "Go runtime of the server", "MiB", false, []line{
		{"mapped", state("stat_hearth_go_mapped"), 1. / mebi},
		{"in use, with garbage", state("stat_hearth_go_heap"), 1. / mebi},
	}},
	{"hit-ratio", "Hit ratio, over ten seconds", "% of gets", false, []line{
		{"all", share("stat_get_hits", "stat_get_misses"), 100},
		{"of them from flash", share("stat_get_extstore", "stat_cmd_get"), 100},
	}},
	{"latency-gets", "Latency of gets, from when they were due, each second", "ms", true, latencyLines("client_get_")},
	{"latency-changes", "Latency of sets, deletes and touches, from when they were due, each second", "ms", true, latencyLines("client_change_")},
	{"flash-bytes", "Bytes on flash", "GiB", false, []line{
		{"written so far", state("stat_extstore_bytes_written"), 1. / 1024 / mebi},
		{"live", state("stat_extstore_bytes_used"), 1. / 1024 / mebi},
		{"room", state("stat_extstore_limit_maxbytes"), 1. / 1024 / mebi},
	}},
	{"flash-rate", "Written to flash and read from it, over ten seconds", "MiB/s", false, []line{
		{"written", rate("stat_extstore_bytes_written"), 1. / mebi},
		{"read", rate("stat_extstore_bytes_read"), 1. / mebi},
	}},
	{"reclaim", "Items that leave flash pages, over ten seconds", "items/s", false, []line{
		{"evicted", rate("stat_extstore_objects_evicted"), 1},
		{"rescued", rate("stat_extstore_compact_rescues"), 1},
	}},
	{"pages", "Flash pages", "pages", false, []line{
		{"free", state("stat_extstore_pages_free"), 1},
		{"used", state("stat_extstore_pages_used"), 1},
	}},
}

func latencyLines(prefix string) []line {
	return []line{
		{"max", state(prefix + "max_us"), 1e-3},
		{"p99.9", state(prefix + "p999_us"), 1e-3},
		{"p99", state(prefix + "p99_us"), 1e-3},
		{"p50", state(prefix + "p50_us"), 1e-3},
	}
}

// palette is told apart by people who do not see all colours (Okabe and Ito).
var palette = []color.Color{
	color.RGBA{0, 114, 178, 255}, color.RGBA{230, 159, 0, 255}, color.RGBA{0, 158, 115, 255}, color.RGBA{213, 94, 0, 255},
}

// empty tells whether no sample has a number of it.
func (g *graph) empty(samples []Sample) bool {
	return !slices.ContainsFunc(g.lines, func(l line) bool { return len(g.pieces(l, samples)) > 0 })
}

// draw writes the picture; extension is svg or png.
func (g *graph) draw(out io.Writer, r *Report, extension string) error {
	p := plot.New()
	p.BackgroundColor = color.White
	p.Title.Text, p.Y.Label.Text, p.X.Label.Text = g.title, g.unit, "minutes since the soak began"
	p.Title.TextStyle.Font.Size, p.Title.Padding = vg.Points(13), vg.Points(8)
	p.Legend.Top, p.Legend.XOffs = true, -vg.Points(8)
	p.Legend.ThumbnailWidth, p.Legend.Padding = vg.Points(18), vg.Points(3)
	for _, style := range []*text.Style{
		&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle,
	} {
		style.Font.Variant = "Sans"
	}
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{225}, color.Gray{240}
	p.Add(grid)
	for i, l := range g.lines {
		if err := g.add(p, l, r.Samples, palette[i%len(palette)]); err != nil {
			return err
		}
	}
	g.frame(p, r)
	return write(out, p, extension)
}

// add draws one line, in pieces where the number was not there.
func (g *graph) add(p *plot.Plot, l line, samples []Sample, c color.Color) error {
	named := false
	for _, points := range g.pieces(l, samples) {
		drawn, err := plotter.NewLine(points)
		if err != nil {
			return err
		}
		drawn.Color, drawn.Width = c, vg.Points(1.2)
		p.Add(drawn)
		if !named {
			p.Legend.Add(l.label, drawn)
			named = true
		}
	}
	return nil
}

func (g *graph) pieces(l line, samples []Sample) (all []plotter.XYs) {
	var piece plotter.XYs
	for i, s := range samples {
		y := math.NaN()
		if i > 0 {
			y = l.scale * l.value(s, samples[max(0, i-rateSpan)])
		}
		if math.IsNaN(y) || math.IsInf(y, 0) || g.logarithmic && y <= 0 {
			all, piece = appendPiece(all, piece), nil
			continue
		}
		piece = append(piece, plotter.XY{X: s.At.Minutes(), Y: y})
	}
	return appendPiece(all, piece)
}

func appendPiece(all []plotter.XYs, piece plotter.XYs) []plotter.XYs {
	if len(piece) < 2 {
		return all
	}
	return append(all, piece)
}

// frame sets the scales, and marks where the fill and the warm-up end.
func (g *graph) frame(p *plot.Plot, r *Report) {
	if math.IsInf(p.Y.Max, 0) { // nothing was drawn
		p.Y.Min, p.Y.Max, p.X.Min, p.X.Max = 0, 1, 0, 1
	}
	if g.logarithmic {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, decades{}
		p.Y.Min = math.Pow(10, math.Floor(math.Log10(p.Y.Min)))
		p.Y.Max = math.Pow(10, math.Ceil(math.Log10(max(p.Y.Max, 2*p.Y.Min)))+1) // a decade for the legend
	} else {
		p.Y.Min, p.Y.Max = 0, 1.2*p.Y.Max // room for the legend
	}
	for _, mark := range []time.Duration{r.Filled, r.Judged} {
		at := mark.Minutes()
		ends, _ := plotter.NewLine(plotter.XYs{{X: at, Y: p.Y.Min}, {X: at, Y: p.Y.Max}})
		ends.Color, ends.Dashes = color.Gray{130}, []vg.Length{vg.Points(4), vg.Points(3)}
		p.Add(ends)
	}
	p.X.Tick.Marker = minutes{}
	p.X.Label.Text = strings.Join([]string{p.X.Label.Text, "dashed: filled, and warm-up over"}, "; ")
}

// minutes marks at most a dozen round ones.
type minutes struct{}

// Ticks implements plot.Ticker.
func (minutes) Ticks(low, high float64) (ticks []plot.Tick) {
	step := 0.1
	for i := 0; (high-low)/step > 12; i++ {
		step *= [...]float64{2, 2.5, 2}[i%3] // 0.1, 0.2, 0.5, 1, 2, 5, ...
	}
	for i := math.Ceil(low / step); i*step <= high; i++ {
		ticks = append(ticks, plot.Tick{Value: i * step, Label: fmt.Sprintf("%.3g", i*step)})
	}
	return ticks
}

// decades marks powers of ten, in plain numbers.
type decades struct{}

// Ticks implements plot.Ticker.
func (decades) Ticks(low, high float64) (ticks []plot.Tick) {
	for ten := low; ten < high*1.01; ten *= 10 {
		ticks = append(ticks, plot.Tick{Value: ten, Label: fmt.Sprintf("%g", math.Round(ten*1e6)/1e6)})
		for i := 2.; i < 10 && i*ten < high; i++ {
			ticks = append(ticks, plot.Tick{Value: i * ten})
		}
	}
	return ticks
}

func write(out io.Writer, p *plot.Plot, extension string) error {
	switch extension {
	case "svg":
		c := vgsvg.New(graphWidth, graphHeight)
		p.Draw(draw.New(c))
		var picture bytes.Buffer
		_, err := c.WriteTo(&picture)
		// Arial has the same widths, where a reader lacks the font.
		_, writeErr := out.Write(bytes.ReplaceAll(picture.Bytes(), []byte("Liberation Sans"), []byte("Liberation Sans,Arial,sans-serif")))
		return errors.Join(err, writeErr)
	case "png":
		c := vgimg.NewWith(vgimg.UseWH(graphWidth, graphHeight), vgimg.UseDPI(96))
		p.Draw(draw.New(c))
		_, err := (vgimg.PngCanvas{Canvas: c}).WriteTo(out)
		return err
	}
	return fmt.Errorf("a graph as %q: want svg or png", extension)
}
