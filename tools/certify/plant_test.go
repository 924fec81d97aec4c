package certify

import (
	"bytes"
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// A plant is a fault in a server: once asked has been in what came on a
// connection, the next old in the replies on it is new. An empty old stands
// before the replies, an empty new is a reply that does not come.
type plant struct {
	group    string
	asked    string
	old, new string
	want     []string // the checks that fail, and no other
}

const (
	closes = "closes" // as new: the connection ends there
	stays  = "stays"  // as new: the connection never ends
)

var plants = []plant{
	{"text", "", "", stays, []string{"quit closes the connection", "quit answers what came before it", "a line of over 2048 bytes without an end", "an HTTP request"}},
	{"text", "verbosity", "OK", "ok", []string{"verbosity"}},
	{"text", " 4294967295 0", "4294967295", "2147483647", []string{"set replaces value and flags"}},
	{"text", "noreply\r\nhi", "", "STORED\r\n", []string{"set noreply"}},
	{"text", "append", "hello world", "hello worl ", []string{"append", "append noreply"}},
	{"text", "prepend", "hello world", "hello  world", []string{"prepend", "prepend noreply"}},
	{"text", "noreply\r\nc", "b\r\n", "c\r\n", []string{"cas noreply"}},
	{"text", "incr", "18446744073709551615\r\n", "0\r\n", []string{"incr goes around at 2^64"}},
	{"text", "decr", "\r\n0\r\n", "\r\n1\r\n", []string{"decr stops at 0"}},
	{"text", "touch", "TOUCHED", "STORED", []string{"touch", "touch keeps the CAS", "a key of 250 bytes"}},
	{"text", "touch", "END\r\n", "", []string{"touch", "touch noreply", "touch keeps the CAS", "a key of 250 bytes"}},
	{"text", "gats 100 ", "VALUE", "VALU", []string{"gats tells the CAS"}},
	{"text", "delete", "DELETED\r\n", closes, []string{"add after delete", "delete", "delete with a time of 0", "a key of 250 bytes", "a pipeline"}},
	{"text", "incr", "CLIENT_ERROR cannot increment", "SERVER_ERROR cannot increment", []string{"incr and decr of what is no number", "a key of 250 bytes", "a pipeline goes on after errors", "bytes that come one by one"}},
	{"text", "1048577", "object too large", "too large", []string{"a value over the limit, and the old one is gone", "add, replace and append over the limit leave the old value"}},
	{"text", "stats items", "active_slabs", "slabs", []string{"stats items, slabs, conns"}},
	{"text", " 524288\r\n", "f0123456789abcdef", "e0123456789abcdef", []string{"a big value"}},
	{"text", "x\r\nget ", "VALUE", "END\r\nVALUE", []string{"get of a hundred keys in one line", "get with a line over 64 KB", "add, replace and append over the limit leave the old value"}},
	{"meta", " k v Oabc", "Oabc", "Oabd", []string{"mg of nothing repeats key and opaque"}},
	{"meta", " h\r\n", "h1", "h0", []string{"mg h: hit before", "mg h after a get", "mg u does not count as a hit"}},
	{"meta", " N30 ", " W", "", []string{"mg N makes what is not there, and the first one wins"}},
	{"meta", " R60", " Z", "", []string{"mg R wins once where too few seconds are left"}},
	{"meta", " ME", "NS", "HD", []string{"ms ME adds", "ms q hides success alone"}},
	{"meta", "md ", " X", "", []string{"md I makes stale: one client wins", "md I of what is stale lets the next client win", "md I keeps the time left unless it has T"}},
	{"meta", "ma ", "10\r\n", "11\r\n", []string{"ma v", "ma D: by how much"}},
	{"meta", "me ", "fetch=no", "fetch=yes", []string{"me"}},
	{"meta", " b ", " b\r\n", "\r\n", []string{"ms b and mg b repeat the key in base64", "ma b"}},
	{"meta", " T100", " t100", " t-1", []string{"mg t: seconds left", "mg T touches", "ms F and T", "md I keeps the time left unless it has T", "ma t and T"}},
	{"meta", "ms ", "bad data chunk", "bad chunk", []string{"ms with a value longer than said, q or not"}},
	{"binary", "\x80\x0a", "\xfa\xca\xde\x42", "\x42\xca\xde\xfa", []string{"noop", "noop with a body", "the magic of a reply ends the connection", "text on a connection that is binary ends it"}},
	{"binary", "\x80\x11", "", "\x81\x11\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xfa\xca\xde\x42\x00\x00\x00\x00\x00\x00\x00\x01", []string{"setq", "deleteq", "getkq", "appendq", "prependq", "gatq", "gatkq", "a quiet pipeline"}},
	{"binary", "\x80\x09", "Not found", "Not_found", []string{"quit answers what came before it", "a quiet pipeline"}},
	{"binary", "\x80\x1c", "\x81\x1c\x00\x00\x04\x00\x00\x00\x00\x00\x00\x04", "\x81\x1c\x00\x00\x04\x00\x00\x01\x00\x00\x00\x04", []string{"touch"}},
	{"binary", "\x80\x0c", "\x81\x0c\x00", "\x81\x00\x00", []string{"getk", "a time over 30 days is a date", "a key may have any bytes", "a key of 250 bytes", "bytes that come one by one"}},
	{"binary", "\x80\x0e", "hello world", "world hello", []string{"append"}},
	{"binary", "\x80\x05", "Data exists", "Data exist ", []string{"incr with a CAS", "a pipeline goes on after errors"}},
	{"binary", "\x80\x04", "Not found", "", []string{"delete", "a pipeline goes on after errors"}},
	{"binary", "\x80\x02", "\x81\x02\x00\x00\x00\x00\x00\x02", "\x81\x02\x00\x00\x00\x00\x00\x05", []string{"add", "a pipeline goes on after errors"}},
}

// TestPlants: each fault is seen by the checks of what is wrong, and disturbs no
// other.
func TestPlants(t *testing.T) {
	t.Parallel()
	servers := map[string]string{}
	for _, group := range []string{"text", "meta", "binary"} {
		servers[group] = startMemcached(t) // no binary while someone watches, see text.txt
	}
	var plantings sync.WaitGroup
	atOnce := make(chan bool, 8) // for they mostly wait
	for i := range plants {
		p := &plants[i]
		plantings.Go(func() {
			atOnce <- true
			defer func() { <-atOnce }()
			addr := (&meddler{plant: *p, server: servers[p.group]}).listen(t)
			got, err := failing(t.Context(), addr, p.group)
			for range 2 { // a reply that has t99 for t100 because a second has passed is left alone
				if err == nil && !slices.Equal(got, p.want) {
					got, err = failing(t.Context(), addr, p.group)
				}
			}
			if err != nil || !slices.Equal(got, p.want) {
				t.Errorf("%q becomes %q after %q: failed %q, want %q; %v", p.old, p.new, p.asked, got, p.want, err)
			}
		})
	}
	plantings.Wait()
}

// failing runs the checks of a group that do not wait, and names those that fail.
func failing(ctx context.Context, addr, group string) (names []string, err error) {
	o := Options{Addr: addr, Timeout: 700 * time.Millisecond, Groups: []string{group}}
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	server, err := examine(ctx, &o)
	if err != nil {
		return nil, err
	}
	delete(server.numbers, "log_watchers") // they are other plants', on text only
	checks, err := load(group)
	if err != nil {
		return nil, err
	}
	checks = slices.DeleteFunc(checks, func(c *check) bool { return len(c.phases) > 1 || c.needs == "flush" || c.needs == "small" })
	r := &runner{opt: &o, server: server, prefix: newPrefix()}
	results, err := r.group(ctx, checks)
	if err != nil {
		return nil, err
	}
	for _, res := range results {
		if res.Verdict == Fail {
			names = append(names, res.Name)
		}
	}
	return names, nil
}

// meddler is a server with a fault.
type meddler struct {
	plant
	server string // one without
}

func (m *meddler) listen(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { m.serve(client) })
		}
	})
	t.Cleanup(func() { l.Close(); conns.Wait() })
	return l.Addr().String()
}

// serve passes bytes on, and the fault with them.
func (m *meddler) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", m.server)
	if err != nil {
		return
	}
	f := &fault{plant: m.plant}
	gone := make(chan bool)
	go func() {
		defer close(gone)
		defer server.Close()
		buf := make([]byte, 1<<16)
		for {
			n, err := client.Read(buf)
			if err != nil {
				return
			}
			f.hear(buf[:n])
			if _, err := server.Write(buf[:n]); err != nil {
				break
			}
		}
		if m.new == stays {
			_, _ = client.Read(buf) // until the client ends it
		}
	}()
	buf := make([]byte, 1<<16)
	for {
		n, err := server.Read(buf)
		out, end := f.alter(buf[:n])
		if _, werr := client.Write(out); err != nil || werr != nil || end {
			break
		}
	}
	if m.new == stays {
		<-gone
	}
}

// fault is what becomes of one connection.
type fault struct {
	plant
	mu    sync.Mutex
	heard []byte
	done  bool
}

func (f *fault) hear(request []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard = append(f.heard, request...)
}

func (f *fault) alter(reply []byte) (out []byte, end bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := bytes.Index(reply, []byte(f.old))
	if f.done || i < 0 || f.new == stays || !bytes.Contains(f.heard, []byte(f.asked)) {
		return reply, false
	}
	f.done = true
	if f.new == closes {
		return reply[:i], true
	}
	return slices.Concat(reply[:i], []byte(f.new), reply[i+len(f.old):]), false
}
