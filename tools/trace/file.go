package trace

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Format is how a file has a trace.
type Format string

// The formats. Guess goes by the file's name: .csv, or anything else for
// oracleGeneral, before .gz or .zst.
const (
	Guess         Format = ""
	CSV           Format = "csv"
	OracleGeneral Format = "oracle"
)

func (f Format) of(name string) (Format, error) {
	switch f {
	case CSV, OracleGeneral:
		return f, nil
	case Guess:
		if strings.HasSuffix(strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst"), ".csv") {
			return CSV, nil
		}
		return OracleGeneral, nil
	}
	return f, fmt.Errorf("format %q: want csv or oracle", string(f))
}

// File is a trace in a file. It is a Reader.
type File struct {
	Reader
	closers []func() error
}

// OpenFile opens a trace, plain or compressed as its name says.
func OpenFile(name string, f Format) (*File, error) {
	f, err := f.of(name)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	t := &File{closers: []func() error{file.Close}}
	in, err := t.decompress(name, file)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), t.Close())
	}
	if t.Reader = newOracleReader(name, in); f == CSV {
		t.Reader = newCSVReader(name, in)
	}
	return t, nil
}

func (t *File) decompress(name string, in io.Reader) (io.Reader, error) {
	switch {
	case strings.HasSuffix(name, ".gz"):
		return gzip.NewReader(in)
	case strings.HasSuffix(name, ".zst"):
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1))
		if err == nil {
			t.closers = append(t.closers, func() error { z.Close(); return nil })
		}
		return z, err
	}
	return in, nil
}

// Close closes the file.
func (t *File) Close() (err error) {
	for _, c := range t.closers {
		err = errors.Join(err, c())
	}
	return err
}

// Save writes all requests of a trace to a new file, compressed by gzip if its
// name ends in .gz, and tells how many there were.
func Save(name string, f Format, from Reader) (n uint64, err error) {
	if f, err = f.of(name); err != nil {
		return 0, err
	}
	file, err := os.Create(name)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if strings.HasSuffix(name, ".zst") {
		return 0, fmt.Errorf("save %s: compresses by gzip only", name)
	}
	var out io.Writer = file
	if strings.HasSuffix(name, ".gz") {
		z := gzip.NewWriter(file)
		defer func() { err = errors.Join(err, z.Close()) }()
		out = z
	}
	return write(bufio.NewWriter(out), f, from)
}

func write(out *bufio.Writer, f Format, from Reader) (n uint64, err error) {
	var to interface {
		write(*Request) error
		flush() error
	} = &oracleWriter{out}
	if f == CSV {
		to = &csvWriter{out: out}
	}
	for r := (Request{}); ; n++ {
		if err := from.Next(&r); errors.Is(err, io.EOF) {
			return n, to.flush()
		} else if err != nil {
			return n, err
		}
		if err := to.write(&r); err != nil {
			return n, err
		}
	}
}
