package top

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"html"
	"os"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

var rewrite = flag.Bool("rewrite", false, "write the picture and the frame that are wanted")

const picturePath, framePath = "../../docs/img/top.svg", "testdata/frame.txt"

// sample reads what a hearthd answered under load.
func sample(t *testing.T, name string, at time.Time) *Sample {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var stats map[string]json.RawMessage
	if err := json.Unmarshal(text, &stats); err != nil {
		t.Fatal(err)
	}
	s := &Sample{at, map[string]string{}}
	for key, value := range stats {
		s.Stats[key] = strings.Trim(string(value), `"`)
	}
	return s
}

func samples(t *testing.T) (before, now *Sample) {
	begun := time.Unix(1795377138, 0)
	return sample(t, "before", begun), sample(t, "after", begun.Add(2*time.Second))
}

func wanted(t *testing.T, path, got string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || got != string(want) {
		t.Errorf("%s is otherwise now (-rewrite writes it), %v:\n%s", path, err, got)
	}
}

// TestFrame: the frame of a server under load, and its picture in the docs.
func TestFrame(t *testing.T) {
	before, now := samples(t)
	gets := []float64{9, 12, 13, 13, 20, 28, 35, 33, 30, 38, 41, 40, 36, 40, 44, 47, 45, 46}
	frame := Frame("127.0.0.1:11211", before, now, gets, 80)
	wanted(t, framePath, ansi.Strip(frame))
	wanted(t, picturePath, picture(frame))
}

// TestWidths: no line is wider than the terminal, whatever that is.
func TestWidths(t *testing.T) {
	before, now := samples(t)
	for width := leastWidth; width <= 200; width++ {
		for line := range strings.SplitSeq(Frame("127.0.0.1:11211", before, now, make([]float64, 300), width), "\n") {
			if n := lipgloss.Width(line); n > width {
				t.Fatalf("%d cells of %d: %q", n, width, line)
			}
		}
	}
}

// TestMemcached: of a server that knows no tiers there is what it tells, and nothing
// about flash.
func TestMemcached(t *testing.T) {
	stats := func(gets int) *Sample {
		return &Sample{time.Unix(int64(gets), 0), map[string]string{
			"version": "1.6.18", "uptime": "90061", "cmd_get": fmt.Sprint(gets * 50), "get_hits": fmt.Sprint(gets * 40), "get_misses": fmt.Sprint(gets * 10),
			"limit_maxbytes": "67108864", "bytes": "33554432", "curr_items": "1234",
		}}
	}
	got := ansi.Strip(Frame("a:1", stats(100), stats(102), nil, 80))
	for _, want := range []string{"1.6.18", "up 1d 1h", "gets/s  50", "hits 80.0 %", "misses 20.0 %", "memory  64.0 MiB", "items 32.0 MiB", "items 1.2k"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "flash") {
		t.Errorf("flash of a memcached:\n%s", got)
	}
}

// TestModel: a sample is drawn and the next asked for, an error is shown without
// losing what was seen, q quits, and a restart shows no rates below 0.
func TestModel(t *testing.T) {
	before, now := samples(t)
	answers := []asked{{before, nil}, {now, nil}, {now, errors.New("refused")}, {before, nil}}
	m := New("here:1", time.Millisecond, func() (map[string]string, error) { return before.Stats, nil })
	if first, ok := m.Init()().(asked); !ok || first.err != nil || first.sample.Stats["version"] != before.Stats["version"] {
		t.Fatalf("%+v", first)
	}
	if !strings.Contains(m.View().Content, "asking here:1") {
		t.Error(m.View().Content)
	}
	m.Update(tea.WindowSizeMsg{Width: 60, Height: 20})
	for i, a := range answers {
		_, next := m.Update(a)
		if _, ok := next().(due); !ok {
			t.Fatalf("answer %d: nothing comes next", i)
		}
		seen := ansi.Strip(m.View().Content)
		if !strings.Contains(seen, "up ") || strings.Contains(seen, "refused") != (a.err != nil) || strings.Contains(seen, "/s -") {
			t.Errorf("answer %d:\n%s", i, seen)
		}
	}
	if seen := m.View().Content; lipgloss.Width(seen) > 60 || lipgloss.Height(seen) > 20 || !strings.HasSuffix(ansi.Strip(seen), "q quits") {
		t.Errorf("larger than the terminal:\n%s", seen)
	}
	if _, cmd := m.Update(tea.KeyPressMsg{Code: 'q', Text: "q"}); cmd == nil || cmd() != tea.Quit() {
		t.Error("q does not quit")
	}
	if _, cmd := m.Update(tea.KeyPressMsg{Code: 'x', Text: "x"}); cmd != nil {
		t.Error("x does something")
	}
}

// picture is the frame as an SVG.
func picture(frame string) string {
	lines := strings.Split(strings.TrimRight(frame, "\n"), "\n")
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="720" height="%d" font-family="monospace" font-size="14" fill="#ddd" xml:space="preserve">`+"\n", 20*len(lines)+24)
	b.WriteString(`<rect width="100%" height="100%" rx="6" fill="#1a1a1a"/>` + "\n")
	for i, line := range lines {
		fmt.Fprintf(&b, `<text x="14" y="%d">`, 20*i+28)
		at, style := 0, ""
		for piece := range strings.SplitSeq("m"+line, "\x1b[") {
			code, text, _ := strings.Cut(piece, "m")
			if style = styles(code); text != "" {
				width := 8.65 * float64(lipgloss.Width(text))
				fmt.Fprintf(&b, `<tspan x="%.1f" textLength="%.1f" lengthAdjust="spacingAndGlyphs"%s>%s</tspan>`, 14+8.65*float64(at), width, style, html.EscapeString(text))
			}
			at += lipgloss.Width(text)
		}
		b.WriteString("</text>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// styles are the attributes of an escape's codes.
func styles(codes string) (attributes string) {
	for code := range strings.SplitSeq(codes, ";") {
		attributes += map[string]string{
			"1": ` font-weight="bold"`, "2": ` fill="#999"`, "31": ` fill="#f55"`, "32": ` fill="#5c5"`,
			"33": ` fill="#db4"`, "34": ` fill="#59f"`, "35": ` fill="#c6c"`, "36": ` fill="#4cc"`,
		}[code]
	}
	return attributes
}
