package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// replyTimeout is when a reply within a generated batch counts as missing.
// Less than patience: shrinking has to wait for it often.
const replyTimeout = 4 * time.Second

// stream is a server with the connections that generated requests go over, and
// what is known of its unique values.
type stream struct {
	s     *running
	conns [clients]net.Conn
	in    [clients]*bufio.Reader
	ids   map[string]int      // unique value to the number it goes by in normal form
	told  map[string][]string // key to the unique values told for it, in order

	badChunks int // replies that said so
}

func newStream(t testing.TB, s *running) *stream {
	st := &stream{s: s, ids: map[string]int{}, told: map[string][]string{}}
	for i := range st.conns {
		st.conns[i] = s.dial(t)
		st.in[i] = bufio.NewReaderSize(st.conns[i], 64<<10)
	}
	return st
}

func (st *stream) close() {
	for _, c := range st.conns {
		c.Close()
	}
}

// text returns what to send for a request to this server.
func (st *stream) text(r *request) string {
	unique, told := wrongToken, st.told[r.key]
	switch {
	case r.token == noToken:
		return r.text
	case r.token == newest && len(told) > 0:
		unique = told[len(told)-1]
	case r.token == older && len(told) > 1:
		unique = told[len(told)-2]
	}
	return strings.Replace(r.text, casMark, unique, 1)
}

// batch sends requests, cut into writes at random, and returns the replies in
// normal form: unique values numbered in the order of their first appearance,
// and numbers as by the exception inplace. What follows the requests makes
// their end known: padding, as a malformed request may take what comes after
// it for data, then a version.
func (st *stream) batch(reqs []request, cuts *rand.Rand) []byte {
	var send []byte
	for i := range reqs {
		send = append(send, st.text(&reqs[i])...)
	}
	send = append(send, batchPadding+"version\r\n"...)
	client := reqs[0].client
	c := st.conns[client]
	c.SetWriteDeadline(time.Now().Add(patience))
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		writeInPieces(c, send, cuts)
	}()
	out, err := st.replies(c, st.in[client])
	if err != nil {
		out = append(out, "-- "+reason(err)+"\n"...)
		c.Close()
	}
	<-sent
	return out
}

func reason(err error) string {
	if e, ok := err.(net.Error); ok && e.Timeout() {
		return "then no more"
	}
	return "then closed"
}

// writeInPieces writes b whole, in a few pieces or in many small ones.
func writeInPieces(c net.Conn, b []byte, cuts *rand.Rand) {
	largest := []int{len(b), len(b), 1 + len(b)/3, 1500, 100, 7}[cuts.IntN(6)]
	if len(b) > 20_000 {
		largest = max(largest, 1500)
	}
	for len(b) > 0 {
		n := min(len(b), 1+cuts.IntN(largest))
		if largest == len(b) {
			n = len(b)
		}
		if _, err := c.Write(b[:n]); err != nil {
			return
		}
		b = b[n:]
	}
}

// replies reads up to the reply to version.
func (st *stream) replies(c net.Conn, in *bufio.Reader) ([]byte, error) {
	var out []byte
	for {
		c.SetReadDeadline(time.Now().Add(replyTimeout))
		l, err := in.ReadBytes('\n')
		if err != nil {
			return append(out, l...), err
		}
		switch {
		case bytes.HasPrefix(l, []byte("VERSION ")):
			return out, nil
		case bytes.HasPrefix(l, []byte("VALUE ")):
			if out, err = st.value(out, l, in); err != nil {
				return out, err
			}
		case isMetaReply(l):
			if out, err = st.metaReply(out, l, in); err != nil {
				return out, err
			}
		default:
			if string(l) == "CLIENT_ERROR bad data chunk\r\n" {
				st.badChunks++
			}
			out = append(out, l...)
		}
	}
}

// value appends a VALUE line and its data in normal form.
func (st *stream) value(out, l []byte, in *bufio.Reader) ([]byte, error) {
	words := strings.Fields(string(l))
	if len(words) < 4 || len(words) > 5 {
		return append(out, l...), nil
	}
	n, err := strconv.Atoi(words[3])
	if err != nil || n < 0 || n > 2*largestItem {
		return append(out, l...), nil
	}
	data := make([]byte, n+2)
	if got, err := io.ReadFull(in, data); err != nil {
		return append(append(out, l...), data[:got]...), err
	}
	if len(words) == 5 {
		words[4] = st.normal(words[1], words[4])
	}
	record := append([]byte(strings.Join(words, " ")+"\r\n"), data...)
	return append(out, trimNumbers(record)...), nil
}

// normal notes a unique value and returns what it goes by.
func (st *stream) normal(key, unique string) string {
	st.told[key] = append(st.told[key], unique)
	id, ok := st.ids[unique]
	if !ok {
		id = len(st.ids) + 1
		st.ids[unique] = id
	}
	return strconv.Itoa(id)
}

// difference is where two servers part.
type difference struct {
	upTo         int // number of requests sent until then
	batch        int // where the batch began
	first, other string
}

// speaker sends generated requests to a server, in one protocol.
type speaker interface {
	// batch sends requests, cut into writes at random, and returns the replies
	// in normal form.
	batch(reqs []request, cuts *rand.Rand) []byte
	record() *stream // of what was said, and with whom
	close()
}

func (st *stream) record() *stream { return st }

// compareStreams sends the same requests to both servers and returns the
// first difference, or nil.
func compareStreams(t testing.TB, first, other speaker, reqs []request, seed uint64) *difference {
	t.Helper()
	for begin := 0; begin < len(reqs); {
		end := begin + 1
		for end < len(reqs) && !reqs[end-1].last {
			end++
		}
		if reqs[begin].demote {
			first.record().s.demote(t)
			other.record().s.demote(t)
			begin = end
			continue
		}
		cuts := func() *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(begin))) }
		a := first.batch(reqs[begin:end], cuts())
		b := other.batch(reqs[begin:end], cuts())
		if !bytes.Equal(a, b) {
			return &difference{upTo: end, batch: begin, first: string(a), other: string(b)}
		}
		begin = end
	}
	return nil
}

// shrink leaves out of a failing stream what it can fail without, for as long
// as the budget lasts. It assumes nothing of why it fails.
func shrink(reqs []request, budget time.Duration, fails func([]request) *difference) []request {
	until := time.Now().Add(budget)
	for size := max(len(reqs)/2, 1); ; size = max(size/2, 1) {
		smaller := false
		for begin := 0; begin < len(reqs); {
			if time.Now().After(until) {
				return reqs
			}
			without := leaveOut(reqs, begin, min(begin+size, len(reqs)))
			if d := fails(without); d != nil {
				reqs, smaller = without[:d.upTo], true
			} else {
				begin += size
			}
		}
		if size == 1 && !smaller {
			return reqs
		}
	}
}

// leaveOut returns the requests but those from begin to end. A batch stays one
// connection's.
func leaveOut(reqs []request, begin, end int) []request {
	out := append([]request(nil), reqs[:begin]...)
	if begin > 0 {
		out[begin-1].last = true
	}
	return append(out, reqs[end:]...)
}

// script shows requests the way transcripts do.
func script(reqs []request) string {
	var b strings.Builder
	for _, r := range reqs {
		if r.demote {
			b.WriteString("! demote\n")
			continue
		}
		if strings.HasPrefix(r.text, "\x80") {
			fmt.Fprintf(&b, "> %s", shown(r.text))
		} else {
			fmt.Fprintf(&b, "> %s", brief([]byte(r.text)))
		}
		if r.token != noToken {
			fmt.Fprintf(&b, "   (cas: %s)", [...]string{newest: "newest", older: "older", wrong: "wrong"}[r.token])
		}
		b.WriteByte('\n')
		if r.last {
			fmt.Fprintf(&b, "   (client %d; replies are read)\n", r.client)
		}
	}
	return b.String()
}

// describe shows both replies from a little before they part.
func (d *difference) describe(first, other string) string {
	i := 0
	for i < len(d.first) && i < len(d.other) && d.first[i] == d.other[i] {
		i++
	}
	from := max(strings.LastIndexByte(d.first[:i], '\n'), 0)
	from = max(strings.LastIndexByte(d.first[:from], '\n')+1, i-200, 0)
	return fmt.Sprintf("%s: %s\n%s: %s", first, brief([]byte(d.first[from:])), other, brief([]byte(d.other[from:])))
}
