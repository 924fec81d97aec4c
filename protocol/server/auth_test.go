package server_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
	"github.com/hearthcache/hearth/protocol/text"
)

// secrets is an Authenticator. The user "wait" is kept waiting until its client
// has gone.
type secrets map[string]string

func (s secrets) Authenticate(ctx context.Context, user, password []byte) bool {
	if string(user) == "wait" {
		<-ctx.Done()
	}
	want, known := s[string(user)]
	return known && want == string(password)
}

// journal is a log that may be read while it is written.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

func locked(t *testing.T, o server.Options) (s *server.Server, tcp, unix string, log *journal) {
	log = &journal{}
	o.Authenticator = secrets{"joe": "open sesame"}
	o.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, tcp, unix = start(t, &later{}, o)
	return s, tcp, unix, log
}

// signIn is a login in text.
func signIn(user, password string) string {
	return fmt.Sprintf("set any 0 0 %d\r\n%s %s\r\n", len(user)+1+len(password), user, password)
}

// packet is a binary request, or with a status a reply.
func packet(magic, opcode byte, status uint16, key, value string) string {
	b := make([]byte, protocol.BinaryHeader)
	b[0], b[1] = magic, opcode
	binary.BigEndian.PutUint16(b[2:], uint16(len(key)))
	binary.BigEndian.PutUint16(b[6:], status)
	binary.BigEndian.PutUint32(b[8:], uint32(len(key)+len(value)))
	return string(b) + key + value
}

func request(opcode byte, key, value string) string { return packet(0x80, opcode, 0, key, value) }

func reply(opcode byte, status protocol.BinaryStatus, value string) string {
	return packet(0x81, opcode, uint16(status), "", value)
}

const (
	opGet, opVersion             = 0x00, 0x0b
	saslList, saslAuth, saslStep = 0x20, 0x21, 0x22
)

func TestLoginText(t *testing.T) {
	s, tcp, _, _ := locked(t, server.Options{})
	c := dial(t, "tcp", tcp)
	fmt.Fprint(c, "get now\r\nversion\r\n"+signIn("joe", "open")+"get now\r\n"+signIn("joe", "open sesame")+"get now\r\nset a 0 0 1\r\nx\r\n")
	c.want(text.Unauthenticated + text.Unauthenticated + text.BadLogin + text.Unauthenticated + protocol.Stored.Line())
	c.want(value("now") + protocol.End + protocol.Stored.Line())
	other := dial(t, "tcp", tcp)
	fmt.Fprint(other, "get now\r\n")
	other.want(text.Unauthenticated)
	if st := s.Stats(); st.AuthCmds != 2 || st.AuthErrors != 1 {
		t.Errorf("%+v", st)
	}
}

func TestLoginBinary(t *testing.T) {
	authError := func(opcode byte) string { return reply(opcode, protocol.StatusAuthError, "Auth failure.") }
	passed := func(opcode byte) string { return reply(opcode, protocol.StatusOK, "Authenticated") }
	for name, row := range map[string]struct{ in, want string }{
		"list":           {request(saslList, "", ""), reply(saslList, protocol.StatusOK, "PLAIN")},
		"auth":           {request(saslAuth, "PLAIN", "\x00joe\x00open sesame") + request(0x0a, "", ""), passed(saslAuth)},
		"as itself":      {request(saslAuth, "PLAIN", "joe\x00joe\x00open sesame"), passed(saslAuth)},
		"as another":     {request(saslAuth, "PLAIN", "ann\x00joe\x00open sesame"), authError(saslAuth)},
		"step":           {request(saslAuth, "PLAIN", "") + request(saslStep, "PLAIN", "\x00joe\x00open sesame"), reply(saslAuth, protocol.StatusAuthContinue, "") + passed(saslStep)},
		"step first":     {request(saslStep, "PLAIN", "\x00joe\x00open sesame"), authError(saslStep)},
		"mechanism":      {request(saslAuth, "CRAM-MD5", "\x00joe\x00open sesame"), authError(saslAuth)},
		"wrong":          {request(saslAuth, "PLAIN", "\x00joe\x00open sesam"), authError(saslAuth)},
		"too much":       {request(saslAuth, "PLAIN", "\x00joe\x00open sesame\x00"), authError(saslAuth)},
		"too little":     {request(saslAuth, "PLAIN", "joe\x00open sesame"), authError(saslAuth)},
		"again":          {request(saslAuth, "PLAIN", "\x00joe\x00") + request(saslAuth, "PLAIN", "\x00joe\x00open sesame"), authError(saslAuth) + passed(saslAuth)},
		"relocked":       {request(saslAuth, "PLAIN", "\x00joe\x00open sesame") + request(saslAuth, "PLAIN", "\x00joe\x00") + request(opGet, "now", ""), passed(saslAuth) + authError(saslAuth) + authError(opGet)},
		"get":            {request(opGet, "now", ""), authError(opGet)},
		"quiet get":      {request(0x09, "now", ""), authError(0x09)},
		"set":            {packet(0x80, 0x01, 0, "k", "extras and a value") + "more", authError(0x01)},
		"quit":           {request(0x07, "", ""), authError(0x07)},
		"unknown":        {request(0x77, "", ""), authError(0x77)},
		"too long a key": {request(opGet, strings.Repeat("k", 251), ""), authError(opGet)},
	} {
		t.Run(name, func(t *testing.T) {
			_, tcp, _, _ := locked(t, server.Options{AuthTimeout: time.Hour})
			c := dial(t, "tcp", tcp)
			fmt.Fprint(c, row.in)
			c.want(row.want)
			if last := row.want[strings.LastIndexByte(row.want, 0x81)+1]; last < saslList {
				c.wantEnd()
			}
		})
	}
}

// TestLockedOutHoldsNothing: who has not logged in gets the server to hold little,
// whatever it announces, sends, or does not read.
func TestLockedOutHoldsNothing(t *testing.T) {
	s, tcp, _, _ := locked(t, server.Options{MaxValue: 64 << 20, AuthTimeout: time.Hour})
	head := make([]byte, protocol.BinaryHeader)
	head[0], head[1], head[3], head[4] = 0x80, 1, 1, 8
	binary.BigEndian.PutUint32(head[8:], 60<<20)
	c := dial(t, "tcp", tcp)
	c.Write(append(head, "extras..k"...))
	c.want(reply(1, protocol.StatusAuthError, "Auth failure."))
	c.wantEnd()
	for range 20 {
		c := dial(t, "tcp", tcp)
		fmt.Fprint(c, "set a 0 0 60000000\r\n"+strings.Repeat("x", 100_000))
		slow := dial(t, "tcp", tcp)
		go fmt.Fprint(slow, strings.Repeat("a\r\n", 3_000_000))
	}
	until(t, "none is read of any more", func() bool {
		stuck := 0
		for _, info := range s.Conns() {
			if info.State == server.ConnWrite {
				stuck++
			}
		}
		return stuck == 20
	})
	if held := s.Stats().BufferBytes; held > 20*3*16<<10+1<<20 {
		t.Errorf("%d bytes are held", held)
	}
}

func TestLoginInTime(t *testing.T) {
	s, tcp, unix, _ := locked(t, server.Options{AuthTimeout: 150 * time.Millisecond})
	in := dial(t, "tcp", tcp)
	fmt.Fprint(in, signIn("joe", "open sesame"))
	in.want(protocol.Stored.Line())
	silent, busy, waiting := dial(t, "tcp", tcp), dial(t, "unix", unix), dial(t, "tcp", tcp)
	go func() {
		for {
			if _, err := fmt.Fprint(busy, "get now\r\n"); err != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	fmt.Fprint(waiting, signIn("wait", "x"))
	io.Copy(io.Discard, busy)
	silent.wantEnd()
	io.Copy(io.Discard, waiting)
	fmt.Fprint(in, "get now\r\n")
	in.want(value("now") + protocol.End)
	until(t, "one is left", func() bool { return s.Stats().CurrConns == 1 })
}

// TestGuessing: who guesses is made to wait, ever longer and on all its
// connections, and is closed. Others are not.
func TestGuessing(t *testing.T) {
	var mu sync.Mutex
	var why []server.CloseReason
	_, tcp, _, _ := locked(t, server.Options{AuthTimeout: time.Hour, Closed: func(_ *server.Conn, r server.CloseReason) {
		mu.Lock()
		defer mu.Unlock()
		why = append(why, r)
	}})
	took := func(c *client, password, reply string) time.Duration {
		began := time.Now()
		fmt.Fprint(c, signIn("joe", password))
		c.want(reply)
		return time.Since(began)
	}
	c := dial(t, "tcp", tcp)
	for i, least := range []time.Duration{0, 100, 200, 400, 800} {
		if d := took(c, fmt.Sprint("guess", i), text.BadLogin); d < least*time.Millisecond {
			t.Errorf("guess %d took %v", i, d)
		}
	}
	c.wantEnd()
	until(t, "it is known why", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(why) == 1 && why[0] == server.CloseLogin
	})
	if d := took(dial(t, "tcp", tcp), "open sesame", protocol.Stored.Line()); d < 1600*time.Millisecond {
		t.Errorf("the next connection was heard after %v", d)
	}
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	other, err := from.Dial("tcp", tcp)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	began := time.Now()
	fmt.Fprint(other, signIn("joe", "open sesame"))
	if _, err := io.ReadFull(other, make([]byte, len("STORED\r\n"))); err != nil || time.Since(began) > 2500*time.Millisecond { // the first would wait for 3 s
		t.Errorf("another address waited %v, %v", time.Since(began), err)
	}
}

// TestSecretsAreNotLogged: the log has who failed to log in, by address alone.
func TestSecretsAreNotLogged(t *testing.T) {
	s, tcp, unix, log := locked(t, server.Options{})
	var peers []string
	for _, send := range []string{
		signIn("joe", "hunter2"), signIn("hunter2", "joe"), "set x 0 0 7\r\nhunter2\r\n", "hunter2\r\nset\r\nhunter2 hunter2 hunter2 hunter2 7\r\n",
		request(saslAuth, "PLAIN", "\x00joe\x00hunter2"), request(saslAuth, "hunter2", "hunter2"), request(opGet, "hunter2", ""),
	} {
		for _, c := range []*client{dial(t, "tcp", tcp), dial(t, "unix", unix)} {
			fmt.Fprint(c, send)
			c.Conn.(interface{ CloseWrite() error }).CloseWrite()
			io.Copy(io.Discard, c)
			peers = append(peers, c.LocalAddr().String())
		}
	}
	until(t, "all are closed", func() bool { return s.Stats().CurrConns == 0 })
	got := log.String()
	if strings.Contains(got, "hunter2") || strings.Contains(got, "joe") {
		t.Errorf("the log has it:\n%s", got)
	}
	if !strings.Contains(got, "peer="+peers[0]) || !strings.Contains(got, "peer="+unix) {
		t.Errorf("the log does not say who it was:\n%s", got)
	}
}

// TestLoginOfGoneClient: nobody goes on checking for it.
func TestLoginOfGoneClient(t *testing.T) {
	s, tcp, _, _ := locked(t, server.Options{AuthTimeout: time.Hour})
	c := dial(t, "tcp", tcp)
	fmt.Fprint(c, signIn("wait", "x"))
	until(t, "the check has begun", func() bool { return s.Stats().AuthCmds == 1 })
	c.Conn.(*net.TCPConn).SetLinger(0)
	c.Close()
	until(t, "it is closed", func() bool { return s.Stats().CurrConns == 0 })
}

// TestShutdownDuringLogin: a forced one does not wait for the check.
func TestShutdownDuringLogin(t *testing.T) {
	s, tcp, _, _ := locked(t, server.Options{AuthTimeout: time.Hour})
	c := dial(t, "tcp", tcp)
	fmt.Fprint(c, signIn("wait", "x"))
	until(t, "the check has begun", func() bool { return s.Stats().AuthCmds == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	s.Shutdown(ctx)
	io.Copy(io.Discard, c)
}

func TestUser(t *testing.T) {
	users := make(chan string, 1)
	_, tcp, _ := start(t, &later{}, server.Options{
		Authenticator: secrets{"joe": "x"},
		Closed:        func(c *server.Conn, _ server.CloseReason) { users <- c.User() },
	})
	for _, want := range []string{"joe", ""} {
		c := dial(t, "tcp", tcp)
		fmt.Fprint(c, signIn(want, "x"))
		c.r.ReadString('\n')
		c.Close()
		if got := <-users; got != want {
			t.Errorf("user %q, want %q", got, want)
		}
	}
}
