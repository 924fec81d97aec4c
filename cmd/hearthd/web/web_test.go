package web

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/protocol/server"
)

// newCache is one of 8 pages of flash, with records in some of them.
func newCache(t testing.TB) *hearth.Cache {
	t.Helper()
	c, err := hearth.Open(t.TempDir(), hearth.Options{
		Memory: 16 << 20, MaxItem: 64 << 10, FlashSize: 8 << 20, PageSize: 1 << 20, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	value := bytes.Repeat([]byte("v"), 8<<10)
	for i := range 2000 {
		if err := c.Set(context.Background(), hearth.Item{Key: fmt.Sprintf("key%d", i), Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2000 {
		c.Get(context.Background(), fmt.Sprintf("key%d", i))
	}
	return c
}

// serves has s tell of a new cache.
func serves(t testing.TB, s *Server) {
	s.Ready(newCache(t), someConns)
	t.Cleanup(s.Stopping)
}

func someConns() server.Stats { return server.Stats{CurrConns: 3, TotalConns: 5} }

// newSite serves on a port of the loopback.
func newSite(t testing.TB, o Options) (*Server, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.Version, o.MaxConns = "1.2.3", 100
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := New(o)
	s.tick = 50 * time.Millisecond
	s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return s, "http://" + l.Addr().String()
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	body string
}

func send(t testing.TB, r *http.Request) answer {
	t.Helper()
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res, string(body)}
}

func request(t testing.TB, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func get(t testing.TB, url string) answer {
	t.Helper()
	return send(t, request(t, "GET", url, nil))
}

func TestEndpoints(t *testing.T) {
	s, url := newSite(t, Options{})
	serves(t, s)
	for _, test := range []struct {
		path   string
		status int
		kind   string
		has    string
	}{
		{"/", 200, "text/html; charset=utf-8", "<!doctype html>"},
		{"/healthz", 200, "text/plain; charset=utf-8", "ok\n"},
		{"/readyz", 200, "application/json", `{"status":"ready"}`},
		{"/metrics", 200, "text/plain; version=0.0.4", "\nmemcached_up 1\n"},
		{"/page?id=0", 200, "application/json", `{"id":0,"state":"`},
		{"/page?id=8", 404, "text/plain; charset=utf-8", "no such page"},
		{"/page?id=-1", 404, "text/plain; charset=utf-8", "no such page"},
		{"/page", 404, "text/plain; charset=utf-8", "no such page"},
		{"/debug/pprof/", 200, "text/html; charset=utf-8", "goroutine"},
		{"/debug/pprof/cmdline", 200, "text/plain; charset=utf-8", ""},
		{"/debug/pprof/heap", 200, "application/octet-stream", ""},
		{"/nowhere", 404, "text/plain; charset=utf-8", ""},
		{"/../web.go", 404, "text/plain; charset=utf-8", ""},
	} {
		a := get(t, url+test.path)
		if a.StatusCode != test.status || !strings.HasPrefix(a.Header.Get("Content-Type"), test.kind) || !strings.Contains(a.body, test.has) {
			t.Errorf("%s: %s, %s:\n%.200s", test.path, a.Status, a.Header.Get("Content-Type"), a.body)
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": policy, "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
			"Access-Control-Allow-Origin": "",
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", test.path, name, got)
			}
		}
	}
}

// TestReadiness: what is said before the cache is open, while it is, and after.
func TestReadiness(t *testing.T) {
	s, url := newSite(t, Options{})
	want := func(status int, body, up string) {
		t.Helper()
		if a := get(t, url+"/readyz"); a.StatusCode != status || strings.TrimSpace(a.body) != body {
			t.Errorf("readyz: %s %s", a.Status, a.body)
		}
		if a := get(t, url+"/healthz"); a.StatusCode != 200 {
			t.Errorf("healthz: %s", a.Status)
		}
		if a := get(t, url+"/metrics"); a.StatusCode != 200 || !strings.Contains(a.body, "\nmemcached_up "+up+"\n") {
			t.Errorf("metrics: %s, not %s", a.Status, up)
		}
	}
	want(503, `{"status":"recovering","recovery":{"done":0,"total":0}}`, "0")
	s.Recovering(5, 20)
	want(503, `{"status":"recovering","recovery":{"done":5,"total":20}}`, "0")
	if a := get(t, url+"/metrics"); !strings.Contains(a.body, "\nhearth_recovery_records 20\n") {
		t.Error("no progress in metrics")
	}
	c := newCache(t)
	s.Ready(c, someConns)
	want(200, `{"status":"ready"}`, "1")
	s.Stopping()
	c.Close()
	want(503, `{"status":"stopping"}`, "0")
}

// TestProgress: a cache tells its progress as it recovers.
func TestProgress(t *testing.T) {
	dir := t.TempDir()
	o := hearth.Options{Memory: 16 << 20, MaxItem: 64 << 10, FlashSize: 8 << 20, PageSize: 1 << 20, Logger: slog.New(slog.DiscardHandler)}
	for range 2 {
		s := New(Options{Logger: o.Logger})
		o.Progress = s.Recovering
		c, err := hearth.Open(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		if had := c.Stats().Recovered > 0; had != (s.total.Load() > 0) || s.done.Load() != s.total.Load() {
			t.Errorf("recovered anything: %v, progress %d of %d", had, s.done.Load(), s.total.Load())
		}
		for i := range 100 {
			if err := c.Set(context.Background(), hearth.Item{Key: fmt.Sprintf("key%d", i), Value: []byte("value")}); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// only lets one user in.
type only string

func (o only) Authenticate(_ context.Context, user, secret []byte) bool {
	return string(o) == string(user)+":"+string(secret)
}

func TestAuth(t *testing.T) {
	s, url := newSite(t, Options{Auth: only("eve:secret")})
	serves(t, s)
	for _, path := range []string{"/", "/metrics", "/healthz", "/readyz", "/events", "/page?id=0", "/debug/pprof/", "/nowhere"} {
		if a := get(t, url+path); a.StatusCode != 401 || a.Header.Get("WWW-Authenticate") == "" || strings.Contains(a.body, "memcached_") {
			t.Errorf("%s without a password: %s", path, a.Status)
		}
	}
	login := func(user, password string) (answer, time.Duration) {
		r, begun := request(t, "GET", url+"/metrics", nil), time.Now()
		r.SetBasicAuth(user, password)
		return send(t, r), time.Since(begun)
	}
	if a, took := login("eve", "wrong"); a.StatusCode != 401 || took < loginDelay {
		t.Errorf("wrong password: %s after %v", a.Status, took)
	}
	if a, _ := login("eve", "secret"); a.StatusCode != 200 {
		t.Errorf("right password: %s", a.Status)
	}
}

// TestGuard: requests that no page of ours makes.
func TestGuard(t *testing.T) {
	s, url := newSite(t, Options{})
	serves(t, s)
	post := request(t, "POST", url+"/metrics", strings.NewReader("x"))
	if a := send(t, post); a.StatusCode != 405 || a.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %s", a.Status)
	}
	if a := send(t, request(t, "GET", url+"/metrics", strings.NewReader("x"))); a.StatusCode != 400 {
		t.Errorf("GET with a body: %s", a.Status)
	}
	for host, want := range map[string]int{"evil.example": 421, "evil.example:9150": 421, "localhost:1": 200, "127.0.0.1": 200, "[::1]:80": 200} {
		r := request(t, "GET", url+"/metrics", nil)
		if r.Host = host; send(t, r).StatusCode != want {
			t.Errorf("Host %s is not answered %d", host, want)
		}
	}
	big := request(t, "GET", url+"/", nil)
	big.Header.Set("X-Large", strings.Repeat("x", 2*mostHeader))
	if res, err := http.DefaultClient.Do(big); err == nil { // or it was cut off
		if res.Body.Close(); res.StatusCode != 431 {
			t.Errorf("large header: %s", res.Status)
		}
	}
}

// TestGuardElsewhere: profiles are not for everybody who reaches the address.
func TestGuardElsewhere(t *testing.T) {
	for _, test := range []struct {
		at   string
		auth Authenticator
		want int
	}{
		{"127.0.0.1", nil, 200}, {"::1", nil, 200}, {"10.0.0.1", nil, 403}, {"0.0.0.0", nil, 403}, {"10.0.0.1", only("a:b"), 200},
	} {
		s := New(Options{Auth: test.auth, Logger: slog.New(slog.DiscardHandler)})
		h := s.handler(&net.TCPAddr{IP: net.ParseIP(test.at)})
		w, r := httptest.NewRecorder(), request(t, "GET", "http://127.0.0.1/debug/pprof/", nil)
		r.SetBasicAuth("a", "b")
		if h.ServeHTTP(w, r); w.Code != test.want {
			t.Errorf("profiles at %s: %d, not %d", test.at, w.Code, test.want)
		}
	}
}

// TestConnections: those above the limit wait, and have their turn.
func TestConnections(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := limit(inner, 1)
	defer l.Close()
	accepted := make(chan net.Conn)
	go func() {
		for range 2 {
			c, err := l.Accept()
			if err != nil {
				t.Error(err)
			}
			accepted <- c
		}
	}()
	for range 2 {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	first := <-accepted
	select {
	case <-accepted:
		t.Fatal("two connections at once")
	case <-time.After(20 * time.Millisecond):
	}
	first.Close()
	first.Close() // gives its turn back only once
	(<-accepted).Close()
}

// listen reads events of a stream.
func listen(t *testing.T, url string) func() event {
	t.Helper()
	res, err := http.Get(url + "/events")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if kind := res.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Fatal(kind)
	}
	lines := bufio.NewReader(res.Body)
	return func() (e event) {
		t.Helper()
		line, err := lines.ReadBytes('\n')
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(bytes.TrimPrefix(line, []byte("data: ")), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		lines.ReadByte() // the empty line
		return e
	}
}

// TestEvents: a listener hears of the pages once, and again when they change.
func TestEvents(t *testing.T) {
	s, url := newSite(t, Options{})
	s.Recovering(1, 2)
	next := listen(t, url)
	if e := next(); e.Status != recovering || *e.Recovery != (progress{1, 2}) || e.Cache != nil {
		t.Errorf("while recovering: %+v", e)
	}
	serves(t, s)
	for next().Status != ready {
	}
	next = listen(t, url)
	e := next()
	if e.Status != ready || e.Recovery != nil || e.Cache.Conns != 3 || e.Cache.Items == 0 || e.Cache.Hits[2] == 0 {
		t.Errorf("ready: %+v, %+v", e, e.Cache)
	}
	if f := e.Flash; len(f.Cells) != 8 || f.Latency == nil || f.Live == 0 {
		t.Errorf("flash: %+v", f)
	}
	// What is still on its way to flash changes a page or two.
	for f := next().Flash; f.Cells != ""; f = next().Flash {
		if f.Latency != nil {
			t.Fatalf("without anything new: %+v", f)
		}
	}
	s.Stopping()
	if e := next(); e.Status != stopping || e.Cache != nil || e.Flash != nil {
		t.Errorf("while stopping: %+v", e)
	}
}
