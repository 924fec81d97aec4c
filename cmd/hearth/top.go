package main

import (
	"errors"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/hearthcache/hearth/protocol/client"
	"github.com/hearthcache/hearth/tools/top"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// watching is what the flags of top say.
type watching struct {
	access
	every time.Duration
	once  bool
	width int
}

func newTopCommand() *cobra.Command {
	w := &watching{}
	cmd := &cobra.Command{
		Use:   "top ADDR",
		Short: "Watch a server, Hearth or memcached, live in the terminal",
		Long: `Shows what a server does now: traffic, hits by tier, where memory goes, reads from
flash, and what moves between RAM and flash; of memcached what it tells. q quits.
Without colours if NO_COLOR is set.`,
		Example: `  hearth top 127.0.0.1:11211
  hearth top 127.0.0.1:11211 --once`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, args []string) error { return w.run(cmd, args[0]) },
	}
	f := cmd.Flags()
	f.DurationVar(&w.every, "every", time.Second, "time between two looks")
	f.BoolVar(&w.once, "once", false, "print one picture, of what happens in the time between two looks")
	f.IntVar(&w.width, "width", 80, "of that picture, in characters")
	w.addFlags(f)
	return cmd
}

func (w *watching) run(cmd *cobra.Command, addr string) error {
	if w.every <= 0 {
		return errors.New("--every must be more than 0")
	}
	c, err := w.dial(addr, client.Options{Connections: 1})
	if err != nil {
		return err
	}
	defer c.Close()
	if w.once {
		return w.printOnce(cmd, addr, c)
	}
	if f, ok := cmd.OutOrStdout().(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return errors.New("the output is no terminal: give --once")
	}
	_, err = tea.NewProgram(top.New(addr, w.every, func() (map[string]string, error) {
		return c.Stats(cmd.Context(), "")
	}), tea.WithContext(cmd.Context())).Run()
	if errors.Is(err, tea.ErrProgramKilled) && cmd.Context().Err() != nil {
		return nil
	}
	return err
}

// printOnce prints one frame.
func (w *watching) printOnce(cmd *cobra.Command, addr string, c *client.Client) error {
	var samples [2]*top.Sample
	for i := range samples {
		if i > 0 && !pause(cmd.Context(), w.every) {
			return cmd.Context().Err()
		}
		stats, err := c.Stats(cmd.Context(), "")
		if err != nil {
			return err
		}
		samples[i] = &top.Sample{At: time.Now(), Stats: stats}
	}
	_, err := lipgloss.Fprint(cmd.OutOrStdout(), top.Frame(addr, samples[0], samples[1], nil, w.width))
	return err
}
