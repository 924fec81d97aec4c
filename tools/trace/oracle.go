package trace

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// An oracleGeneral trace, libCacheSim's, has records of 24 bytes, little-endian,
// without a head:
//
//	0       4         12     16                 24
//	│ time  │ object  │ size │ next access      │
//
// time is in seconds, size in bytes. next access is the number of the request
// that asks for the object again, -1 if none does; a replay has no use for it.
// Every request is a get.
const (
	oracleRecord  = 24
	oracleKeySize = 16 // of keys: a trace has only the size of the object
)

// oracleReader reads an oracleGeneral trace.
type oracleReader struct {
	name  string
	in    *bufio.Reader
	done  int64 // records
	begin uint32
	keys  map[uint64]uint64
}

func newOracleReader(name string, in io.Reader) *oracleReader {
	return &oracleReader{name: name, in: bufio.NewReaderSize(in, 1<<20), keys: map[uint64]uint64{}}
}

// Next reads the next record.
func (r *oracleReader) Next(req *Request) error {
	var b [oracleRecord]byte
	if n, err := io.ReadFull(r.in, b[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		return fmt.Errorf("%s, offset %d: record cut to %d of %d bytes: %w", r.name, r.done*oracleRecord, n, oracleRecord, err)
	}
	at, size := binary.LittleEndian.Uint32(b[:]), binary.LittleEndian.Uint32(b[12:])
	if r.done == 0 {
		r.begin = at
	}
	if at < r.begin || size > 1<<30 {
		return fmt.Errorf("%s, offset %d: time %d and size %d: not an oracleGeneral trace", r.name, r.done*oracleRecord, at, size)
	}
	r.done++
	*req = Request{
		Time: time.Duration(at-r.begin) * time.Second, Op: Get, Key: r.number(binary.LittleEndian.Uint64(b[4:])),
		KeySize: oracleKeySize, ValueSize: int(size),
	}
	return nil
}

func (r *oracleReader) number(object uint64) uint64 {
	n, ok := r.keys[object]
	if !ok {
		n = uint64(len(r.keys))
		r.keys[object] = n
	}
	return n
}

// oracleWriter writes an oracleGeneral trace, of requests of any kind as gets.
// It has every next access as unknown, which is written as none.
type oracleWriter struct{ out *bufio.Writer }

func (w *oracleWriter) write(r *Request) error {
	var b [oracleRecord]byte
	binary.LittleEndian.PutUint32(b[:], uint32(r.Time/time.Second))
	binary.LittleEndian.PutUint64(b[4:], r.Key)
	binary.LittleEndian.PutUint32(b[12:], uint32(r.ValueSize))
	binary.LittleEndian.PutUint64(b[16:], ^uint64(0))
	_, err := w.out.Write(b[:])
	return err
}

func (w *oracleWriter) flush() error { return w.out.Flush() }
