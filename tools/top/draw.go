package top

import (
	"fmt"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
)

// The colours, of the terminal's own sixteen, so that they suit its background.
var (
	titleStyle = lipgloss.NewStyle().Bold(true)
	nameStyle  = lipgloss.NewStyle().Faint(true)
	alarmStyle = lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true)
	partStyles = []lipgloss.Style{
		lipgloss.NewStyle().Foreground(lipgloss.Green), lipgloss.NewStyle().Foreground(lipgloss.Yellow),
		lipgloss.NewStyle().Foreground(lipgloss.Blue), lipgloss.NewStyle().Foreground(lipgloss.Magenta),
		lipgloss.NewStyle().Foreground(lipgloss.Cyan),
	}
	restStyle = lipgloss.NewStyle().Faint(true)
)

// blocks are the marks of a bar's parts, which differ without colour, too.
var blocks = []string{"█", "▓", "▒", "◆", "●"}

// part is one of a bar: its share, from 0 to 1, and its name with a figure.
type part struct {
	share float64
	label string
}

// bar draws parts beside each other, width cells in all, and below what each is.
func bar(width int, parts ...part) string {
	var line strings.Builder
	var legend []string
	filled, sum := 0, 0.0
	for i, p := range parts {
		sum += p.share
		end := min(max(int(sum*float64(width)+0.5), filled), width)
		mark := i % len(partStyles)
		line.WriteString(partStyles[mark].Render(strings.Repeat(blocks[mark], end-filled)))
		legend = append(legend, partStyles[mark].Render(blocks[mark])+" "+p.label)
		filled = end
	}
	line.WriteString(restStyle.Render(strings.Repeat("░", width-filled)))
	return line.String() + "\n" + wrap(width, legend)
}

// wrap puts words beside each other, and on the next line what has no room.
func wrap(width int, words []string) string {
	var b strings.Builder
	at := 0
	for i, word := range words {
		n := lipgloss.Width(word)
		switch {
		case i > 0 && at+2+n > width:
			b.WriteByte('\n')
			at = 0
		case i > 0:
			b.WriteString("  ")
			at += 2
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}

var sparks = []rune("▁▂▃▄▅▆▇█")

// spark draws the last width values, the largest as high as a line is.
func spark(values []float64, width int) string {
	values = values[max(len(values)-width, 0):]
	most := 0.0
	for _, v := range values {
		most = max(most, v)
	}
	line := make([]rune, len(values))
	for i, v := range values {
		line[i] = sparks[0]
		if most > 0 {
			line[i] = sparks[int(v/most*float64(len(sparks)-1)+0.5)]
		}
	}
	return partStyles[0].Render(string(line))
}

// figures draws pairs of name and value in columns, as many beside each other as
// fit.
func figures(width int, pairs ...string) string {
	const column = 26
	var b strings.Builder
	perLine := max(width/column, 1)
	for i := 0; i+1 < len(pairs); i += 2 {
		cell := nameStyle.Render(pairs[i]) + " " + pairs[i+1]
		b.WriteString(cell)
		switch {
		case i+3 >= len(pairs):
		case (i/2+1)%perLine == 0:
			b.WriteByte('\n')
		default:
			b.WriteString(strings.Repeat(" ", max(column-lipgloss.Width(cell), 1)))
		}
	}
	return b.String()
}

// count writes a number with three digits or so.
func count(v float64) string { return scaled(v, 1000, []string{"", "k", "M", "G", "T"}) }

// size writes a number of bytes.
func size(v float64) string { return scaled(v, 1024, []string{"B", "KiB", "MiB", "GiB", "TiB"}) }

func scaled(v, step float64, units []string) string {
	unit := 0
	for v >= step && unit < len(units)-1 {
		v /= step
		unit++
	}
	space := ""
	if len(units[unit]) > 1 || units[0] == "B" {
		space = " "
	}
	if unit == 0 || v >= 100 {
		return fmt.Sprintf("%.0f%s%s", v, space, units[unit])
	}
	return fmt.Sprintf("%.1f%s%s", v, space, units[unit])
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

// latency writes microseconds.
func latency(us float64) string {
	if us < 1000 {
		return fmt.Sprintf("%.0f µs", us)
	}
	return fmt.Sprintf("%.1f ms", us/1000)
}

func uptime(seconds float64) string {
	d := time.Duration(seconds) * time.Second
	if days := int(d.Hours()) / 24; days > 0 {
		return fmt.Sprintf("%dd %dh", days, int(d.Hours())%24)
	}
	return d.String()
}
