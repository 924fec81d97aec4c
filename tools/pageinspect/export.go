package pageinspect

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
)

// Exported says what an export has written.
type Exported struct {
	Records, Bytes int64 // bytes of values
	Binary         int64 // records whose keys only meta commands can carry
	Older          int64 // records left out because the key has a newer one
}

// ExportCommands writes to out, for every item that is alive, the command of
// memcached's text protocol that sets it, with its client flags and its exptime,
// and last one that ends the connection: so nc, or any client, can replay it
// into a server. A key that is no word of text goes as base64 in a meta command,
// which servers know from memcached 1.6.10 on.
func (d *Dir) ExportCommands(ctx context.Context, out io.Writer, progress Progress, acceptStale bool) (Exported, error) {
	w := bufio.NewWriterSize(out, 1<<20)
	var line []byte
	x, err := d.export(ctx, progress, acceptStale, func(f *Found) error {
		line = appendSet(line[:0], f)
		_, err := w.Write(line)
		return err
	}, func(x *Exported, f *Found) {
		if !plain(f.Record.Key) {
			x.Binary++
		}
	})
	if err == nil || x.Records > 0 {
		fmt.Fprint(w, "version\r\nquit\r\n") // that all was taken is seen by the answer
	}
	if e := w.Flush(); e != nil {
		return x, e
	}
	return x, err
}

// ExportJSON writes every item that is alive to out, as a line of JSON with its
// value.
func (d *Dir) ExportJSON(ctx context.Context, out io.Writer, progress Progress, acceptStale bool) (Exported, error) {
	l := Lister{Values: true}
	l.Begin(out)
	x, err := d.export(ctx, progress, acceptStale, l.Write, func(*Exported, *Found) {})
	if e := l.End(); e != nil {
		return x, e
	}
	return x, err
}

// export calls write for each item that is alive. Without a catalog it refuses,
// unless stale values are accepted: then the newest record of each key is taken
// for alive, whatever had become of it.
func (d *Dir) export(ctx context.Context, progress Progress, acceptStale bool, write func(*Found) error, note func(*Exported, *Found)) (x Exported, err error) {
	wanted := Filter{States: []State{Live}}
	var newest map[uint64]uint64
	if d.Catalog == nil {
		if !acceptStale {
			return x, ErrNoCatalog
		}
		wanted.States = []State{Unknown}
		if newest, err = d.newest(ctx); err != nil {
			return x, err
		}
	}
	err = d.Records(ctx, wanted, progress, func(f *Found) error {
		if newest != nil && newest[hashOf(f.Record.Key, 0)] != f.Record.CAS {
			x.Older++
			return nil
		}
		x.Records++
		x.Bytes += int64(len(f.Record.Value))
		note(&x, f)
		return write(f)
	})
	return x, err
}

// newest is the highest CAS of each key, by the key's hash. An expired record
// counts, too: what it had replaced must not come back.
func (d *Dir) newest(ctx context.Context) (map[uint64]uint64, error) {
	newest := map[uint64]uint64{}
	err := d.Records(ctx, Filter{States: []State{Unknown, Expired}}, nil, func(f *Found) error {
		h := hashOf(f.Record.Key, 0)
		newest[h] = max(newest[h], f.Record.CAS)
		return nil
	})
	if err == ErrBadPlaces { // the second pass says so
		err = nil
	}
	return newest, err
}

// appendSet appends the command that sets f's item.
func appendSet(b []byte, f *Found) []byte {
	r := &f.Record
	if plain(r.Key) {
		b = append(append(b, "set "...), r.Key...)
		b = strconv.AppendUint(append(b, ' '), uint64(r.Flags), 10)
		b = strconv.AppendUint(append(b, ' '), uint64(wireExptime(f.Exptime)), 10)
		b = strconv.AppendInt(append(b, ' '), int64(len(r.Value)), 10)
		b = append(b, " noreply\r\n"...)
	} else {
		b = base64.StdEncoding.AppendEncode(append(b, "ms "...), r.Key)
		b = strconv.AppendInt(append(b, ' '), int64(len(r.Value)), 10)
		b = strconv.AppendUint(append(b, " b q F"...), uint64(r.Flags), 10)
		b = strconv.AppendUint(append(b, " T"...), uint64(wireExptime(f.Exptime)), 10)
		b = append(b, "\r\n"...)
	}
	return append(append(b, r.Value...), "\r\n"...)
}

// monthSeconds is up to where the protocol takes an exptime for seconds from now.
const monthSeconds = 60 * 60 * 24 * 30

// wireExptime is an exptime as the protocol has it: over a month it is the time
// itself.
func wireExptime(exptime uint32) uint32 {
	if exptime == 0 {
		return 0
	}
	return max(exptime, monthSeconds+1)
}

// plain tells whether a key is a word of the text protocol.
func plain(key []byte) bool {
	for _, c := range key {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}
