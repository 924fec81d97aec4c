package main_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The binary protocol, memcached against hearthd. Packets are built and taken
// apart here byte by byte: nothing of what is tested is used for it.

// The opcodes of the binary protocol.
const (
	opGet, opSet, opAdd, opReplace, opDelete, opIncr, opDecr, opQuit = 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07
	opFlush, opGetQ, opNoop, opVersion, opGetK, opGetKQ, opAppend    = 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e
	opPrepend, opStat, opSetQ, opAddQ, opReplaceQ, opDeleteQ         = 0x0f, 0x10, 0x11, 0x12, 0x13, 0x14
	opIncrQ, opDecrQ, opQuitQ, opFlushQ, opAppendQ, opPrependQ       = 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a
	opVerbosity, opTouch, opGAT, opGATQ, opSASLList, opSASLAuth      = 0x1b, 0x1c, 0x1d, 0x1e, 0x20, 0x21
	opSASLStep, opGATK, opGATKQ                                      = 0x22, 0x23, 0x24
)

// packet is a request as it is sent, but for the opaque.
func packet(opcode byte, extras, key, value string) string {
	b := []byte{0x80, opcode}
	b = binary.BigEndian.AppendUint16(b, uint16(len(key)))
	b = append(b, byte(len(extras)), 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(extras)+len(key)+len(value)))
	return string(b) + strings.Repeat("\x00", 12) + extras + key + value
}

// withByte is a packet with one byte of its header set to another value.
func withByte(p string, at int, to byte) string { return p[:at] + string([]byte{to}) + p[at+1:] }

// shown is a packet in words.
func shown(p string) string {
	extras, key := int(p[4]), int(p[2])<<8|int(p[3])
	if 24+extras+key > len(p) {
		return brief([]byte(p))
	}
	body := p[24:]
	return fmt.Sprintf("%#02x extras %x key %s value %s", p[1], body[:extras], brief([]byte(body[extras:extras+key])), brief([]byte(body[extras+key:])))
}

// u32 and u64 are numbers as extras have them.
func u32(v uint64) string { return string(binary.BigEndian.AppendUint32(nil, uint32(v))) }
func u64(v uint64) string { return string(binary.BigEndian.AppendUint64(nil, v)) }

// endOpaque is that of the noop which ends a batch.
const endOpaque = 1<<32 - 1

// reply is a packet that a server has sent.
type reply struct {
	opcode             byte
	status             uint16
	opaque             uint32
	cas                uint64
	extras, key, value string
}

func readPacket(in io.Reader) (reply, error) {
	var h [24]byte
	if n, err := io.ReadFull(in, h[:]); err != nil {
		return reply{value: string(h[:n])}, err
	}
	extras, key, total := int(h[4]), int(binary.BigEndian.Uint16(h[2:])), int(binary.BigEndian.Uint32(h[8:]))
	if h[0] != 0x81 || extras+key > total || total > 2*largestItem {
		return reply{}, fmt.Errorf("no reply: %x", h)
	}
	body := make([]byte, total)
	_, err := io.ReadFull(in, body)
	return reply{
		opcode: h[1], status: binary.BigEndian.Uint16(h[6:]), opaque: binary.BigEndian.Uint32(h[12:]), cas: binary.BigEndian.Uint64(h[16:]),
		extras: string(body[:extras]), key: string(body[extras : extras+key]), value: string(body[extras+key:]),
	}, err
}

// number is a value that incr and decr have changed: see the exception inplace.
var number = regexp.MustCompile(`^\d+ *$`)

// String is the reply in normal form, but for its CAS.
func (r *reply) String() string {
	value := r.value
	if r.status == 0 && r.opcode == opVersion {
		value = "a version"
	}
	if len(r.extras) == 4 && number.MatchString(value) {
		value = strings.TrimRight(value, " ")
	}
	return fmt.Sprintf("%#02x of %d: status %#x extras %x key %q value %s", r.opcode, r.opaque, r.status, r.extras, r.key, brief([]byte(value)))
}

// binaryStream is a server with the connections that generated packets go over,
// and what is known of its unique values.
type binaryStream struct {
	t     testing.TB
	s     *running
	conns [clients]net.Conn
	in    [clients]*bufio.Reader
	known stream // of the unique values
}

func newBinaryStream(t testing.TB, s *running) *binaryStream {
	return &binaryStream{t: t, s: s, known: stream{s: s, ids: map[string]int{}, told: map[string][]string{}}}
}

func (b *binaryStream) record() *stream { return &b.known }

func (b *binaryStream) close() {
	for _, c := range b.conns {
		if c != nil {
			c.Close()
		}
	}
}

// packet returns a request as it is sent to this server.
func (b *binaryStream) packet(r *request, opaque int) string {
	cas, told := uint64(0), b.known.told[r.key]
	switch {
	case r.token == wrong, r.token != noToken && len(told) == 0:
		cas, _ = strconv.ParseUint(wrongToken, 10, 64)
	case r.token == newest:
		cas, _ = strconv.ParseUint(told[len(told)-1], 10, 64)
	case r.token == older:
		cas, _ = strconv.ParseUint(told[max(0, len(told)-2)], 10, 64)
	}
	return r.text[:12] + u32(uint64(opaque)) + u64(cas) + r.text[24:]
}

// batch sends requests and returns their replies. Behind them goes a noop that
// makes their end known, unless the last one closes the connection.
func (b *binaryStream) batch(reqs []request, cuts *rand.Rand) []byte {
	var send strings.Builder
	for i := range reqs {
		send.WriteString(b.packet(&reqs[i], i))
	}
	if !reqs[len(reqs)-1].closes {
		send.WriteString(b.packet(&request{text: packet(opNoop, "", "", "")}, endOpaque))
	}
	client := reqs[0].client
	if b.conns[client] == nil {
		b.conns[client] = b.s.dial(b.t)
		b.in[client] = bufio.NewReaderSize(b.conns[client], 64<<10)
	}
	c := b.conns[client]
	c.SetWriteDeadline(time.Now().Add(patience))
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		all := []byte(send.String())
		last := len(all)
		if reqs[len(reqs)-1].closes { // whole, or the rest would come to a closed socket
			last -= len(reqs[len(reqs)-1].text)
		}
		writeInPieces(c, all[:last], cuts)
		c.Write(all[last:])
	}()
	out := b.replies(client, reqs)
	<-sent
	return out
}

// replies reads up to the end of a batch, or of the connection, which is left then.
func (b *binaryStream) replies(client int, reqs []request) []byte {
	var out bytes.Buffer
	for {
		b.conns[client].SetReadDeadline(time.Now().Add(replyTimeout))
		r, err := readPacket(b.in[client])
		switch {
		case err != nil:
			fmt.Fprintf(&out, "%s-- %s\n", r.value, reason(err))
			b.conns[client].Close()
			b.conns[client] = nil
			return out.Bytes()
		case r.opaque == endOpaque && r.opcode == opNoop:
			return out.Bytes()
		}
		fmt.Fprintf(&out, "%v", &r)
		if r.cas != 0 && int(r.opaque) < len(reqs) {
			fmt.Fprintf(&out, " cas %s", b.known.normal(reqs[r.opaque].key, strconv.FormatUint(r.cas, 10)))
		}
		out.WriteByte('\n')
	}
}

// packets returns n requests in batches.
func (g *generator) packets(n int) []request {
	reqs := make([]request, 0, n)
	for len(reqs) < n {
		client := g.IntN(clients)
		for range 1 + g.IntN(1<<g.IntN(7)) {
			r := g.packet()
			r.client = client
			if r.first && len(reqs) > 0 {
				reqs[len(reqs)-1].last = true
			}
			if reqs = append(reqs, r); r.closes {
				break
			}
		}
		reqs[len(reqs)-1].last = true
		if g.flash && g.IntN(10) == 0 {
			reqs = append(reqs, request{demote: true, last: true})
		}
	}
	return reqs
}

// packet returns one request, by weight.
func (g *generator) packet() request {
	key := pick(g, allKeys)
	switch w := g.IntN(1000); {
	case w < 320:
		return request{text: packet(pick(g, []byte{opGet, opGetQ, opGetK, opGetKQ}), "", key, ""), key: key}
	case w < 400:
		return request{text: packet(pick(g, []byte{opGAT, opGATQ, opGATK, opGATKQ}), g.expiry(), key, ""), key: key}
	case w < 450:
		return request{text: packet(opTouch, g.expiry(), key, ""), key: key}
	case w < 700:
		return g.storagePacket()
	case w < 760:
		return g.joinPacket()
	case w < 880:
		return g.arithmeticPacket()
	case w < 940:
		return request{text: packet(pick(g, []byte{opDelete, opDeleteQ}), "", key, ""), key: key, token: g.comparing()}
	case w < 946:
		return request{text: packet(pick(g, []byte{opFlush, opFlushQ}), pick(g, []string{"", u32(0)}), "", "")}
	case w < 980:
		return request{text: pick(g, harmless)}
	case w < 990:
		return request{text: packet(pick(g, []byte{opSet, opSetQ, opAdd, opReplace, opAppend, opPrepend}), "", "", "")[:2], key: key}.tooLarge(g, key)
	}
	r := request{text: pick(g, fatal), closes: true}
	// With what is no packet memcached drops the replies to whatever it read
	// before it in the same piece.
	r.first = r.text[0] != 0x80
	return r
}

// harmless are requests that are not about items, and some that are refused.
var harmless = []string{
	packet(opNoop, "", "", ""), packet(opVersion, "", "", ""), packet(opStat, "", "bogus", ""),
	packet(opSASLList, "", "", ""), packet(opSASLAuth, "", "PLAIN", "\x00user\x00pass"), packet(opSASLStep, "", "PLAIN", ""),
	packet(0x50, "", "", ""), packet(0xff, "", "", "a body"), packet(0x30, "", "", strings.Repeat("x", 5000)),
}

// fatal are requests after which the connection is closed.
var fatal = fatalPackets()

func fatalPackets() (all []string) {
	get, set := packet(opGet, "", "t1", ""), packet(opSet, u64(0), "t1", "v")
	all = append(all, packet(opQuit, "", "", ""), packet(opQuitQ, "", "", ""),
		withByte(get, 0, 0x81), withByte(get, 0, 'g'))
	// memcached wants to see the key before it says that it is too long for the body.
	for _, p := range []string{withByte(get, 3, 3), withByte(set, 3, 255), withByte(set, 4, 200), withByte(packet(0x77, "", "k", ""), 3, 2)} {
		all = append(all, p+strings.Repeat("x", 300))
	}
	for _, opcode := range []byte{opGet, opGetQ, opGetK, opGetKQ, opDelete, opDeleteQ} {
		all = append(all, packet(opcode, "", "", ""), packet(opcode, "", tooLong, ""), packet(opcode, "e", "k", ""), packet(opcode, "", "k", "v"))
	}
	for _, opcode := range []byte{opSet, opSetQ, opAdd, opAddQ, opReplace, opReplaceQ} {
		all = append(all, packet(opcode, u64(0), "", "v"), packet(opcode, u64(0), tooLong, "v"), packet(opcode, u32(0), "k", "v"), packet(opcode, "", "k", ""))
	}
	for _, opcode := range []byte{opAppend, opAppendQ, opPrepend, opPrependQ} {
		all = append(all, packet(opcode, "", "", "v"), packet(opcode, "", tooLong, "v"), packet(opcode, u64(0), "k", "v"))
	}
	for _, opcode := range []byte{opIncr, opIncrQ, opDecr, opDecrQ} {
		extras := u64(1) + u64(2) + u32(0)
		all = append(all, packet(opcode, extras, "", ""), packet(opcode, extras, "k", "v"), packet(opcode, extras[1:], "k", ""), packet(opcode, extras, tooLong, ""))
	}
	for _, opcode := range []byte{opTouch, opGAT, opGATQ, opGATK, opGATKQ} {
		all = append(all, packet(opcode, u32(0), "", ""), packet(opcode, "", "k", ""), packet(opcode, u64(0), "k", ""), packet(opcode, u32(0), tooLong, ""))
	}
	for _, opcode := range []byte{opNoop, opVersion, opQuit, opQuitQ, opSASLList} {
		all = append(all, packet(opcode, "e", "", ""), packet(opcode, "", "k", ""), packet(opcode, "", "", "v"))
	}
	for _, opcode := range []byte{opFlush, opFlushQ} {
		all = append(all, packet(opcode, "e", "", ""), packet(opcode, u64(0), "", ""), packet(opcode, u32(0), "k", ""), packet(opcode, "", "", "v"))
	}
	return append(all, packet(opStat, "e", "", ""), packet(opStat, "", tooLong, ""),
		packet(opSASLAuth, "", "", "v"), packet(opSASLStep, "e", "PLAIN", "v"), packet(0x77, "", tooLong, ""))
}

// expiry is exptime as extras have it. Below zero there is nothing.
func (g *generator) expiry() string {
	if g.IntN(3) > 0 {
		return u32(0)
	}
	return u32(pick(g, []uint64{1000, 2592000, 2000000000, 2592001, 1000000000, 1<<32 - 1}))
}

// comparing is most often no unique value.
func (g *generator) comparing() token {
	if g.IntN(3) > 0 {
		return noToken
	}
	return pick(g, []token{newest, newest, older, wrong})
}

// storagePacket writes values of their kind, see storage.
func (g *generator) storagePacket() request {
	key := pick(g, allKeys[1:])
	opcode := pick(g, []byte{opSet, opSet, opSet, opSetQ, opAdd, opAddQ, opReplace, opReplaceQ})
	flags := u32(pick(g, []uint64{0, 0, 1, 42, 65536, 1<<32 - 1}))
	return request{text: packet(opcode, flags+g.expiry(), key, g.value(key)), key: key, token: g.comparing()}
}

// joinPacket appends and prepends. What goes to a number is in front of it, and
// what goes to a big value is little, see storage.
func (g *generator) joinPacket() request {
	key := pick(g, allKeys)
	opcode := pick(g, []byte{opAppend, opAppendQ, opPrepend, opPrependQ})
	value := g.letters(g.IntN(300))
	if key[0] == 'n' && key != "never" {
		opcode, value = pick(g, []byte{opPrepend, opPrependQ}), pick(g, []string{"0", "00", ""})
	}
	return request{text: packet(opcode, "", key, value), key: key, token: g.comparing()}
}

// arithmeticPacket makes what is absent, at times, unless it would be a number
// where texts are.
func (g *generator) arithmeticPacket() request {
	key := pick(g, numberKeys)
	exptime := pick(g, []string{g.expiry(), u32(1<<32 - 1)})
	if g.IntN(8) == 0 {
		key, exptime = pick(g, textKeys), u32(1<<32-1)
	}
	delta := pick(g, []uint64{0, 1, 1, 9, 100, g.Uint64N(1 << 30)})
	opcode := pick(g, []byte{opIncr, opIncrQ, opDecr, opDecrQ})
	if (opcode == opDecr || opcode == opDecrQ) && g.IntN(4) == 0 {
		delta = 1<<64 - 1
	}
	initial := pick(g, []uint64{0, 7, 100, g.Uint64N(1 << 40)})
	return request{text: packet(opcode, u64(delta)+u64(initial)+exptime, key, ""), key: key, token: g.comparing()}
}

// tooLarge is r with a value over the limit.
func (r request) tooLarge(g *generator, key string) request {
	extras := u64(0)
	if opcode := r.text[1]; opcode == opAppend || opcode == opPrepend {
		extras = ""
	}
	r.text = packet(r.text[1], extras, key, g.letters(largestItem+1+g.IntN(1000)))
	r.token = g.comparing()
	return r
}

// TestGeneratedBinaryHearthd sends the same random packets to memcached and to
// hearthd, in every setting.
func TestGeneratedBinaryHearthd(t *testing.T) {
	t.Parallel()
	memcached := memcachedPath(t)
	for _, set := range settings {
		t.Run(set.name, func(t *testing.T) {
			t.Parallel()
			hearthdPath(t)
			for _, seed := range seeds() { // at once, as they mostly wait
				t.Run(fmt.Sprint(seed), func(t *testing.T) {
					t.Parallel()
					sameBinaryReplies(t, seed, set.flash != "",
						func() *running { return startServer(t, memcached, memcachedArgs...) },
						func() *running { return set.start(t) })
				})
			}
		})
	}
}

// TestGeneratedBinaryMemcached holds the packets to be repeatable.
func TestGeneratedBinaryMemcached(t *testing.T) {
	t.Parallel()
	memcached := memcachedPath(t)
	start := func() *running { return startServer(t, memcached, memcachedArgs...) }
	for _, seed := range seeds() {
		sameBinaryReplies(t, seed, false, start, start)
	}
}

// binaryCounters are counters but for those where memcached counts otherwise than
// it does in text: no values that are too large, and no numbers that incr or decr
// have made.
var binaryCounters = slices.DeleteFunc(slices.Clone(counters), func(name string) bool {
	return name == "store_too_large" || name == "incr_hits" || name == "decr_hits"
})

func sameBinaryReplies(t *testing.T, seed uint64, flash bool, startFirst, startOther func() *running) {
	t.Helper()
	t.Logf("seed %d", seed)
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0)), flash: flash}
	sameStreams(t, g.packets(requests()/2), seed, startFirst, startOther,
		func(s *running) speaker { return newBinaryStream(t, s) },
		func(first, other *stream) { compareCounters(t, first, other, binaryCounters) })
}
