package main

import (
	"cmp"
	"io"
	"os"
	"time"

	"github.com/hearthcache/hearth/tools/pageinspect"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// newProgress draws a bar of bytes on a terminal, and nothing elsewhere.
func newProgress(out io.Writer) pageinspect.Progress {
	return newBar(out, progressbar.OptionShowBytes(true), progressbar.OptionUseIECUnits(true))
}

// newBar draws a bar with the rate and the time left, if total is not 0; nil if out is no terminal.
func newBar(out io.Writer, opts ...progressbar.Option) func(done, total int64) {
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	opts = append(opts, progressbar.OptionSetWriter(f), progressbar.OptionSetWidth(30),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	var bar *progressbar.ProgressBar
	return func(done, total int64) {
		if bar == nil {
			bar = progressbar.NewOptions64(cmp.Or(total, -1), opts...)
		}
		_ = bar.Set64(done) // a bar that cannot be drawn is no reason to stop
	}
}
