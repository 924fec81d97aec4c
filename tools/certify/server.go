package certify

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// server is what is known of the server before the checks.
type server struct {
	version            string // as it says
	text, meta, binary bool   // the protocols it speaks
	flash              bool
	sasl               bool
	numbers            map[string]uint64 // statistics and settings that are numbers
}

var errRefused = errors.New("login refused")

// dial connects and logs in.
func (s *server) dial(ctx context.Context, o *Options, binary bool) (net.Conn, error) {
	network := "tcp"
	if strings.Contains(o.Addr, "/") {
		network = "unix"
	}
	d := net.Dialer{Timeout: o.Timeout}
	conn, err := d.DialContext(ctx, network, o.Addr)
	if err != nil {
		return nil, err
	}
	if o.TLS != nil {
		conn = tls.Client(conn, clientConfig(o))
	}
	if o.User == "" {
		return conn, nil
	}
	if err := login(conn, o, binary); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// clientConfig adds to o.TLS whose certificate is wanted.
func clientConfig(o *Options) *tls.Config {
	c := o.TLS.Clone()
	if host, _, err := net.SplitHostPort(o.Addr); err == nil && c.ServerName == "" {
		c.ServerName = host
	}
	return c
}

// login is a set of user and password in text, SASL PLAIN in binary.
func login(conn net.Conn, o *Options, binary bool) error {
	e := &env{keys: map[string]bool{}, numbers: map[string]uint64{}}
	secret := o.User + " " + o.Password
	ask, answer := fmt.Appendf(nil, "set auth 0 0 %d\r\n%s\r\n", len(secret), secret), []element{{kind: literal, text: []byte("STORED\r\n")}}
	if binary {
		secret = "\x00" + o.User + "\x00" + o.Password
		p := packet{opcode: opcodes["saslauth"], key: []byte("PLAIN"), value: []byte(secret), numbers: map[string]uint64{"magic": magicRequest}}
		ask = append(append(p.header(), p.key...), p.value...)
		var err error
		if answer, err = compilePacket("saslauth opaque=0 value=*", false, e); err != nil {
			return err
		}
	}
	s := &stream{conn: conn, in: bufio.NewReader(conn), timeout: o.Timeout}
	if err := s.send(ask, false); err != nil {
		return err
	}
	if err := s.expect(answer, e); err != nil {
		return fmt.Errorf("%w: %s", errRefused, escape(s.rest()))
	}
	return nil
}

// examine asks the server what it is and has.
func examine(ctx context.Context, o *Options) (*server, error) {
	s := &server{numbers: map[string]uint64{}}
	conn, err := s.dial(ctx, o, false)
	if err != nil && !errors.Is(err, errRefused) {
		return nil, err
	}
	if err == nil {
		conn.Close()
	}
	if reply, err := s.ask(ctx, o, "version\r\n", "\r\n"); err == nil && strings.HasPrefix(reply, "VERSION ") {
		s.text, s.version = true, strings.TrimSpace(reply[len("VERSION "):])
		reply, err := s.ask(ctx, o, "mn\r\n", "\r\n")
		s.meta = err == nil && reply == "MN\r\n"
		// A server that has no statistics has said nothing.
		_ = s.learn(ctx, o, "stats\r\n")
		_ = s.learn(ctx, o, "stats settings\r\n")
	}
	s.binary, s.sasl = s.speaksBinary(ctx, o), o.User != ""
	if !s.text && !s.binary {
		return nil, errors.New("the server speaks neither the text nor the binary protocol here")
	}
	_, s.flash = s.numbers["get_extstore"]
	s.derive()
	return s, nil
}

// derive adds what the scripts need: an item size that fits, and one that does
// not.
func (s *server) derive() {
	if s.numbers["item_size_max"] == 0 {
		s.numbers["item_size_max"] = 1 << 20
	}
	s.numbers["big"] = min(s.numbers["item_size_max"]/2, 1<<20)
	s.numbers["toobig"] = s.numbers["item_size_max"] + 1
	s.numbers["memory_mb"] = s.numbers["limit_maxbytes"] >> 20
}

// askMost is how long a reply to ask may be, in bytes.
const askMost = 16 << 20

// ask sends a command on a connection of its own and returns the reply up to
// end.
func (s *server) ask(ctx context.Context, o *Options, command, end string) (string, error) {
	conn, err := s.dial(ctx, o, false)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(o.Timeout)); err != nil {
		return "", err
	}
	if _, err := conn.Write([]byte(command)); err != nil {
		return "", err
	}
	var reply strings.Builder
	for in := bufio.NewReader(io.LimitReader(conn, askMost)); ; {
		line, err := in.ReadString('\n')
		reply.WriteString(line)
		if err != nil || strings.HasSuffix(line, end) {
			return reply.String(), err
		}
	}
}

// learn keeps the numbers of a list of statistics.
func (s *server) learn(ctx context.Context, o *Options, command string) error {
	reply, err := s.ask(ctx, o, command, "END\r\n")
	if err != nil {
		return err
	}
	for line := range strings.Lines(reply) {
		words := strings.Fields(line)
		if len(words) != 3 || words[0] != "STAT" {
			continue
		}
		if n, err := strconv.ParseUint(words[2], 10, 64); err == nil {
			s.numbers[words[1]] = n
		}
	}
	return nil
}

func (s *server) speaksBinary(ctx context.Context, o *Options) bool {
	conn, err := s.dial(ctx, o, true)
	if err != nil {
		return false
	}
	defer conn.Close()
	e := &env{numbers: map[string]uint64{}}
	st := &stream{conn: conn, in: bufio.NewReader(conn), timeout: o.Timeout}
	ask, err := compilePacket("version", true, e)
	if err != nil || st.send(ask[0].text, false) != nil {
		return false
	}
	answer, err := compilePacket("version value=*", false, e)
	if err != nil || st.expect(answer, e) != nil {
		return false
	}
	if s.version == "" {
		s.version = string(st.got[headerSize:])
	}
	return true
}

const notFlushed = "not run without --flush: it changes what others see"

// lacks says why the server cannot be held to a check, or nothing.
func (s *server) lacks(c *check, mayFlush bool) string {
	has := map[string]bool{"text": s.text, "meta": s.meta, "binary": s.binary, "flash": s.text && s.flash}
	switch {
	case !has[c.group]:
		return "the server has no " + c.group
	case c.needs == "flush" && !mayFlush:
		return notFlushed
	case c.needs == "meta" && !s.meta:
		return "the server has no meta"
	case c.needs == "nosasl" && s.sasl:
		return "the server wants logins"
	case c.needs == "big" && s.numbers["toobig"] > tooBigMost:
		return "not run: items may be very large here"
	case c.needs == "big" && s.numbers["log_watchers"] > 0:
		return "not run while someone watches: memcached may crash"
	case c.needs == "small" && s.numbers["curr_items"] > smallItems:
		return "not run on a server with so many items"
	}
	for _, p := range c.phases {
		for _, st := range p.steps {
			if st.binary() && !s.binary {
				return "the server has no binary"
			}
		}
	}
	return ""
}

const (
	smallItems = 100_000  // how many items a server may have to be gone over whole
	tooBigMost = 16 << 20 // how large a value is sent only to be refused, in bytes
)
