package top

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// historyMost is how many gets a second are kept to draw.
const historyMost = mostWidth

// Model is the live view, for bubbletea: it asks for a sample, draws it, waits and
// asks again, until q, Esc or Ctrl-C.
type Model struct {
	addr   string
	every  time.Duration
	ask    func() (map[string]string, error)
	before *Sample
	now    *Sample
	gets   []float64
	width  int
	height int   // 0: not known
	err    error // of the last time it asked
}

// New returns a view of the server at addr, whose statistics ask returns.
func New(addr string, every time.Duration, ask func() (map[string]string, error)) *Model {
	return &Model{addr: addr, every: every, ask: ask, width: 80}
}

// asked is what came of asking.
type asked struct {
	sample *Sample
	err    error
}

// due says that it is time to ask again.
type due struct{}

// Init asks for the first sample.
func (m *Model) Init() tea.Cmd { return m.sample }

func (m *Model) sample() tea.Msg {
	stats, err := m.ask()
	return asked{&Sample{time.Now(), stats}, err}
}

// Update takes a sample, a key, or the terminal's size.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		switch msg.String() {
		case "q", "esc", "ctrl+c":
			return m, tea.Quit
		}
	case due:
		return m, m.sample
	case asked:
		m.take(msg)
		return m, tea.Tick(m.every, func(time.Time) tea.Msg { return due{} })
	}
	return m, nil
}

// take keeps the sample; after an error the last one stays in view.
func (m *Model) take(a asked) {
	if m.err = a.err; a.err != nil {
		return
	}
	m.before, m.now = m.now, a.sample
	if m.before == nil {
		m.before = m.now
		return
	}
	m.gets = append(m.gets, span{m.before, m.now}.rate("cmd_get"))
	m.gets = m.gets[max(len(m.gets)-historyMost, 0):]
}

// View draws the last sample.
func (m *Model) View() tea.View {
	v := tea.NewView(m.frame())
	v.AltScreen = true
	return v
}

func (m *Model) frame() string {
	text := ""
	if m.now != nil {
		text = Frame(m.addr, m.before, m.now, m.gets, m.width) + "\n"
	}
	switch {
	case m.err != nil:
		text = alarmStyle.Render(fmt.Sprintf("%s does not answer: %v", m.addr, m.err)) + "\n\n" + text
	case m.now == nil:
		text = "asking " + m.addr + "\n"
	}
	if lines := strings.Split(text, "\n"); m.height > 0 && len(lines) > m.height {
		text = strings.Join(lines[:m.height-1], "\n") + "\n"
	}
	return text + nameStyle.Render("q quits")
}
