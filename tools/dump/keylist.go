package dump

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/client"
)

// A key list is a file: the id of its dump, how many keys there are as a uint64,
// and each key behind a byte with its length. It gets its name when it is whole,
// and is of no use once the dump is.
const keyListHead = len(fileID{}) + 8

// keyList is one that is being read.
type keyList struct {
	file  *os.File
	in    *bufio.Reader
	id    fileID
	total uint64
	at    uint64 // keys read
	err   error  // why all ended early
}

// busyPause is how long to wait when the server makes another list.
const busyPause = 500 * time.Millisecond

// makeKeyList writes the source's keys to path. A server that makes another list is
// asked again until patience is over.
func makeKeyList(ctx context.Context, source *client.Client, path string, id fileID, patience time.Duration) error {
	for deadline := time.Now().Add(patience); ; {
		err := tryKeyList(ctx, source, path, id)
		if !errors.Is(err, client.ErrBusy) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(busyPause):
		}
	}
}

func tryKeyList(ctx context.Context, source *client.Client, path string, id fileID) (err error) {
	f, err := os.Create(path + ".new")
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err == nil {
			err = os.Rename(f.Name(), path)
		} else {
			os.Remove(f.Name())
		}
	}()
	out := bufio.NewWriterSize(f, 1<<16)
	out.Write(make([]byte, keyListHead))
	total := uint64(0)
	err = source.Keys(ctx, func(key []byte) error {
		if len(key) > protocol.MaxKey {
			return fmt.Errorf("%w: %d bytes", client.ErrKey, len(key))
		}
		total++
		out.WriteByte(byte(len(key)))
		_, err := out.Write(key)
		return err
	})
	if err = errors.Join(err, out.Flush()); err != nil {
		return err
	}
	_, err = f.WriteAt(binary.LittleEndian.AppendUint64(id[:], total), 0)
	return err
}

// openKeyList opens the list at path to be read from the position on.
func openKeyList(path string, position uint64) (*keyList, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	l := &keyList{file: f, in: bufio.NewReaderSize(f, 1<<16)}
	var head [keyListHead]byte
	if _, err := io.ReadFull(l.in, head[:]); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	l.id, l.total = fileID(head[:]), binary.LittleEndian.Uint64(head[len(l.id):])
	for l.at < position && l.err == nil {
		_, l.err = l.next()
	}
	return l, l.err
}

func (l *keyList) next() (key string, err error) {
	length, err := l.in.ReadByte()
	if err != nil {
		return "", fmt.Errorf("%s, key %d: %w", l.file.Name(), l.at, err)
	}
	b := make([]byte, length)
	if _, err := io.ReadFull(l.in, b); err != nil {
		return "", fmt.Errorf("%s, key %d: %w", l.file.Name(), l.at, err)
	}
	l.at++
	return string(b), nil
}

// all are the keys that were not read yet. If they end early, l.err says why.
func (l *keyList) all() iter.Seq[string] {
	return func(yield func(string) bool) {
		for l.at < l.total {
			key, err := l.next()
			if l.err = err; err != nil || !yield(key) {
				return
			}
		}
	}
}
