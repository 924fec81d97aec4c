package web

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

var (
	pictures = flag.String("pictures", "", "where to write screenshots of the page; a temporary directory without it")
	pageAt   = flag.String("page", "", "address of a running hearthd to take the screenshots of")
)

// browse opens headless Chromium. What it complains of fails the test.
func browse(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("chromium is not installed")
		}
		t.Skip("chromium is not installed: apt-get install chromium")
	}
	profile, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(profile) })
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(profile))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	ctx, stop = context.WithTimeout(ctx, time.Minute)
	t.Cleanup(stop)
	chromedp.ListenTarget(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			t.Errorf("exception: %v", e.ExceptionDetails)
		case *log.EventEntryAdded:
			t.Errorf("console: %s %s", e.Entry.Text, e.Entry.URL)
		case *runtime.EventConsoleAPICalled:
			t.Errorf("console: %s", e.Type)
		}
	})
	return ctx
}

func do(t *testing.T, ctx context.Context, actions ...chromedp.Action) {
	t.Helper()
	if err := chromedp.Run(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// eval returns what a script gives.
func eval[T any](t *testing.T, ctx context.Context, script string) (value T) {
	t.Helper()
	do(t, ctx, chromedp.Evaluate(script, &value, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	return value
}

// picture takes a screenshot of what is in the window.
func picture(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	var image []byte
	do(t, ctx, chromedp.FullScreenshot(&image, 100))
	dir := *pictures
	if dir == "" {
		dir = t.TempDir()
	}
	if err := os.WriteFile(filepath.Join(dir, name), image, 0o644); err != nil {
		t.Fatal(err)
	}
	if len(image) < 10<<10 {
		t.Errorf("%s has only %d bytes", name, len(image))
	}
}

func theme(dark string) chromedp.Action {
	return emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: dark}})
}

const colorOfBody = `getComputedStyle(document.body).backgroundColor`

// TestPage: the page in a browser: numbers come by themselves, a cell that is
// clicked tells of its page, the theme changes, and a phone need not scroll sideways.
func TestPage(t *testing.T) {
	var s *Server
	url, settle := *pageAt, chromedp.Sleep(time.Millisecond)
	if url == "" {
		s, url = newSite(t, Options{})
	}
	ctx := browse(t) // it ends before the site does
	if s != nil {
		s.Recovering(30, 120)
		do(t, ctx, chromedp.Navigate(url), chromedp.WaitVisible("#recovery"))
		if text := eval[string](t, ctx, `recoveryText.textContent`); text != "30 of 120 records, 25.0 %" {
			t.Errorf("recovery: %q", text)
		}
		serves(t, s)
	} else {
		settle = chromedp.Sleep(20 * time.Second) // for the charts
	}
	do(t, ctx, theme("light"), chromedp.EmulateViewport(1280, 900), chromedp.Navigate(url), chromedp.WaitVisible("#map"),
		chromedp.Poll(`document.getElementById("gets").textContent !== "" && hearth.frames.length > 3`, nil), settle)
	if state := eval[string](t, ctx, `document.getElementById("state").textContent`); state != "ready" {
		t.Errorf("state %q", state)
	}
	do(t, ctx, chromedp.MouseClickXY(eval[float64](t, ctx, `map.getBoundingClientRect().x + 2`), eval[float64](t, ctx, `map.getBoundingClientRect().y + 2`)),
		chromedp.WaitVisible("#details dl"))
	details := eval[string](t, ctx, `details.textContent`)
	for _, want := range []string{"Page 0", "state", "version", "bucket", "live records", "faults", "age", "00000000.page"} {
		if !strings.Contains(details, want) {
			t.Errorf("details of a page: no %s in %q", want, details)
		}
	}
	do(t, ctx, chromedp.Focus("#map"), chromedp.KeyEvent(kb.ArrowRight),
		chromedp.Poll(`details.querySelector("h3").textContent === "Page 1"`, nil))
	picture(t, ctx, "page-light.png")

	light := eval[string](t, ctx, colorOfBody)
	do(t, ctx, chromedp.Click("#theme"))
	if dark := eval[string](t, ctx, colorOfBody); dark == light {
		t.Errorf("the theme stays %s", dark)
	}
	picture(t, ctx, "page-dark.png")
	do(t, ctx, chromedp.Click("#theme"), theme("dark"))
	if got := eval[string](t, ctx, colorOfBody); got != light {
		t.Errorf("the choice does not stand against the system's: %s", got)
	}

	do(t, ctx, chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile), settle)
	if wide := eval[int](t, ctx, `document.documentElement.scrollWidth`); wide > 390 {
		t.Errorf("on a phone the page is %d wide", wide)
	}
	picture(t, ctx, "page-phone.png")
	t.Logf("script of %d frames, longest first: %.1f ms", eval[int](t, ctx, `hearth.frames.length`), eval[[]float64](t, ctx, `hearth.frames.toSorted((a, b) => b - a).slice(0, 10)`))
	do(t, ctx, chromedp.Navigate("about:blank")) // or it asks for a page of a cache that is gone
}

// TestManyPages: an update with 8,000 pages, all of which have changed, takes less
// script than a frame has time.
func TestManyPages(t *testing.T) {
	s, url := newSite(t, Options{})
	ctx := browse(t)
	serves(t, s)
	do(t, ctx, chromedp.EmulateViewport(1280, 900), chromedp.Navigate(url), chromedp.WaitVisible("#map"),
		chromedp.Poll(`hearth.frames.length > 3`, nil))
	// Each update comes as text, as the stream gives it; what counts is the longest
	// of the frames that it is spread over.
	const script = `(async () => {
		const shown = structuredClone(hearth.last()), took = [];
		hearth.quiet(); // the stream
		for (let round = 0; round < 60; round++) {
			shown.now += 1000; shown.cache.hits[2] += 1000;
			shown.flash.cells = Array.from({length: 8000}, (_, i) => "abcdefghijklmnop"[(i + 7 * round) % 16]).join("");
			const text = JSON.stringify(shown);
			hearth.frames.length = 0;
			hearth.show(text);
			while (!hearth.idle()) await new Promise(requestAnimationFrame);
			took.push(Math.max(...hearth.frames));
		}
		return took;
	})()`
	const loss = `(async () => {
		hearth.show(JSON.stringify(hearth.last()));
		hearth.lost();
		for (let i = 0; i < 10; i++) await new Promise(requestAnimationFrame);
		return state.textContent;
	})()`
	took := eval[[]float64](t, ctx, script)
	slices.Sort(took)
	t.Logf("8000 changed pages: median %.1f ms, 95th percentile %.1f ms, most %.1f ms", took[30], took[57], took[59])
	if took[30] > 16 {
		t.Errorf("an update takes %.1f ms", took[30])
	}
	if text := eval[string](t, ctx, loss); text != "no connection" {
		t.Errorf("without a server it says %q", text)
	}
}
