package trace

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/hearthcache/hearth/protocol"
)

// A trace as CSV has one request a line, and this first line:
//
//	time,key,key_size,value_size,op,ttl
//
// Times and TTLs are in seconds, times with a fraction or without; sizes are in
// bytes. Keys are any text without a comma: the same text is the same key. A file
// without the first line has Twitter's columns:
//
//	time,key,key_size,value_size,client,op,ttl
const csvHeader = "time,key,key_size,value_size,op,ttl"

// Columns of the two forms; those from op on are one further in Twitter's.
const (
	timeColumn = iota
	keyColumn
	keySizeColumn
	valueSizeColumn
	opColumn
	ttlColumn
	columns
)

var errFields = errors.New("wrong number of fields")

// csvReader reads a trace as CSV.
type csvReader struct {
	name  string
	in    *bufio.Scanner
	line  int
	shift int // 1 with Twitter's columns
	keys  map[string]uint64
	begin time.Duration // of the first request
}

const longestLine = 64 << 10

func newCSVReader(name string, in io.Reader) *csvReader {
	r := &csvReader{name: name, in: bufio.NewScanner(in), keys: map[string]uint64{}}
	r.in.Buffer(nil, longestLine)
	return r
}

// Next reads the next line.
func (r *csvReader) Next(req *Request) error {
	if !r.in.Scan() {
		if err := r.in.Err(); err != nil {
			return fmt.Errorf("%s, after line %d: %w", r.name, r.line, err)
		}
		return io.EOF
	}
	r.line++
	if r.line == 1 {
		if string(bytes.TrimSpace(r.in.Bytes())) == csvHeader {
			return r.Next(req)
		}
		r.shift = 1
	}
	if err := r.parse(r.in.Bytes(), req); err != nil {
		return fmt.Errorf("%s, line %d: %w", r.name, r.line, err)
	}
	return nil
}

func (r *csvReader) parse(line []byte, req *Request) (err error) {
	var fields [columns + 1][]byte
	n := 0
	for rest, more := line, true; more; n++ {
		if n == len(fields) {
			return fmt.Errorf("%w: more than %d", errFields, n)
		}
		fields[n], rest, more = bytes.Cut(rest, []byte(","))
	}
	if n != columns+r.shift {
		return fmt.Errorf("%w: %d, want %d", errFields, n, columns+r.shift)
	}
	*req = Request{Key: r.number(fields[keyColumn])}
	if req.Time, err = r.since(fields[timeColumn]); err != nil {
		return err
	}
	if req.KeySize, err = parseSize("key_size", fields[keySizeColumn], protocol.MaxKey); err != nil {
		return err
	}
	if req.ValueSize, err = parseSize("value_size", fields[valueSizeColumn], math.MaxInt32); err != nil {
		return err
	}
	ttl, err := parseSize("ttl", bytes.TrimSpace(fields[ttlColumn+r.shift]), math.MaxInt32)
	if err != nil {
		return err
	}
	req.TTL = uint32(ttl)
	req.Op, err = parseOp(string(fields[opColumn+r.shift]))
	return err
}

// number is that of the key with this text.
func (r *csvReader) number(text []byte) uint64 {
	n, ok := r.keys[string(text)]
	if !ok {
		n = uint64(len(r.keys))
		r.keys[string(text)] = n
	}
	return n
}

// since is the time since the first request's.
func (r *csvReader) since(text []byte) (time.Duration, error) {
	seconds, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(seconds >= 0 && seconds < 100*365*day) {
		return 0, fmt.Errorf("time %.40q: want seconds", text)
	}
	at := time.Duration(seconds * float64(time.Second))
	if len(r.keys) == 1 && r.begin == 0 {
		r.begin = at
	}
	return max(0, at-r.begin), nil
}

func parseSize(column string, text []byte, most int) (int, error) {
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%s %.40q: want 0 to %d", column, text, most)
	}
	return n, nil
}

// csvWriter writes a trace as CSV.
type csvWriter struct {
	out   *bufio.Writer
	begun bool
}

func (w *csvWriter) write(r *Request) error {
	if !w.begun {
		w.begun = true
		fmt.Fprintln(w.out, csvHeader)
	}
	_, err := fmt.Fprintf(w.out, "%.6f,%d,%d,%d,%s,%d\n", r.Time.Seconds(), r.Key, r.KeySize, r.ValueSize, r.Op, r.TTL)
	return err
}

func (w *csvWriter) flush() error { return w.out.Flush() }
