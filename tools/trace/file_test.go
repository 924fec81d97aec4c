package trace

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// list is a trace in memory.
type list []Request

func (l *list) Next(r *Request) error {
	if len(*l) == 0 {
		return io.EOF
	}
	*r, *l = (*l)[0], (*l)[1:]
	return nil
}

func readAll(name string) (all []Request, err error) {
	f, err := OpenFile(name, Guess)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for {
		var r Request
		if err := f.Next(&r); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return all, err
		}
		all = append(all, r)
	}
}

// renumbered has keys as a reader numbers them, and what else a file keeps.
func renumbered(from []Request, keep func(*Request)) (out []Request) {
	keys := map[uint64]uint64{}
	for _, r := range from {
		if _, ok := keys[r.Key]; !ok {
			keys[r.Key] = uint64(len(keys))
		}
		r.Key, r.Counter, r.Time = keys[r.Key], false, r.Time.Truncate(time.Microsecond)
		keep(&r)
		out = append(out, r)
	}
	return out
}

func TestFilesGiveBackWhatWasWritten(t *testing.T) {
	requests := slices.Concat(generate(t, "W4", Scale{Keys: 50, Requests: 200}), generate(t, "W9", Scale{Keys: 50, Requests: 200}))
	for i := range requests {
		requests[i].Time = time.Duration(i) * 250 * time.Millisecond
	}
	asCSV := renumbered(requests, func(*Request) {})
	asOracle := renumbered(requests, func(r *Request) {
		*r = Request{Time: r.Time.Truncate(time.Second), Op: Get, Key: r.Key, KeySize: oracleKeySize, ValueSize: r.ValueSize}
	})
	for name, want := range map[string][]Request{"a.csv": asCSV, "a.csv.gz": asCSV, "a.oracleGeneral": asOracle, "a.bin.gz": asOracle} {
		path, from := filepath.Join(t.TempDir(), name), list(requests)
		if n, err := Save(path, Guess, &from); err != nil || n != uint64(len(requests)) {
			t.Fatal(n, err)
		}
		if got, err := readAll(path); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %d requests, %v; they differ from those written", name, len(got), err)
		}
	}
}

func TestTwittersColumnsByZstd(t *testing.T) {
	text := "10,q:q:1:8WTfjZU14ee,17,213,4,get,0\n12,yDqF:3q:1AJrrJ1nnCJKKrnGx1A,27,27,5,add,86400\n12,q:q:1:8WTfjZU14ee,17,0,4,decr,0\n"
	path := filepath.Join(t.TempDir(), "cluster52.csv.zst")
	var packed bytes.Buffer
	z, _ := zstd.NewWriter(&packed)
	z.Write([]byte(text))
	z.Close()
	os.WriteFile(path, packed.Bytes(), 0o600)
	want := []Request{
		{Op: Get, KeySize: 17, ValueSize: 213},
		{Time: 2 * time.Second, Op: Add, Key: 1, KeySize: 27, ValueSize: 27, TTL: 86400},
		{Time: 2 * time.Second, Op: Incr, KeySize: 17},
	}
	if got, err := readAll(path); err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestBadFilesTellThePlace(t *testing.T) {
	rows := []struct{ name, text, want string }{
		{"a.csv", csvHeader + "\n1,k,3,100,get,0\n1,k,3,100,fetch,0\n", `a.csv, line 3: operation "fetch"`},
		{"a.csv", csvHeader + "\n1,k,3,100,get\n", "a.csv, line 2: wrong number of fields: 5, want 6"},
		{"a.csv", csvHeader + "\n1,a,b,3,100,7,get,0,9\n", "a.csv, line 2: wrong number of fields: more than 7"},
		{"a.csv", "1,k,3,100,7,get,0\n1,k,3,-1,7,get,0\n", `a.csv, line 2: value_size "-1"`},
		{"a.csv", csvHeader + "\n1,k,251,100,get,0\n", `a.csv, line 2: key_size "251": want 0 to 250`},
		{"a.csv", csvHeader + "\nNaN,k,3,100,get,0\n", `a.csv, line 2: time "NaN"`},
		{"a.csv", csvHeader + "\n" + strings.Repeat("x", longestLine+1) + "\n", "a.csv, after line 1: "},
		{"a.bin", strings.Repeat("\x00", 24) + "cut", "a.bin, offset 24: record cut to 3 of 24 bytes"},
		{"a.bin", "\x01\x00\x00\x00" + strings.Repeat("\x00", 20) + strings.Repeat("\x00", 24), "a.bin, offset 24: time 0"},
		{"a.bin", strings.Repeat("\xff", 24), "a.bin, offset 0: time 4294967295 and size 4294967295"},
		{"a.csv.gz", "this is no gzip", "a.csv.gz: gzip: invalid header"},
		{"a.bin.zst", "no zstd, for certain", "a.bin.zst"},
	}
	for _, row := range rows {
		t.Chdir(t.TempDir())
		os.WriteFile(row.name, []byte(row.text), 0o600)
		if _, err := readAll(row.name); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%.60q: error %v, want %s", row.text, err, row.want)
		}
	}
	if _, err := OpenFile("a.csv", "parquet"); err == nil {
		t.Error("format parquet: no error")
	}
}

func FuzzFiles(f *testing.F) {
	f.Add([]byte(csvHeader+"\n1,k,3,100,get,0\n"), true)
	f.Add([]byte("1,k,3,100,7,get,0\n"), true)
	f.Add(bytes.Repeat([]byte{1}, 48), false)
	f.Fuzz(func(t *testing.T, data []byte, csv bool) {
		var r Reader = newOracleReader("fuzz", bytes.NewReader(data))
		if csv {
			r = newCSVReader("fuzz", bytes.NewReader(data))
		}
		for {
			var req Request
			if r.Next(&req) != nil {
				return
			}
			if req.ValueSize < 0 || req.KeySize < 0 || req.KeySize > 250 || req.Time < 0 || req.Op >= ops {
				t.Fatalf("%+v", req)
			}
		}
	})
}
