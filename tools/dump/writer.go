package dump

import (
	"io"
	"time"
)

const (
	// wantPayload is from how many bytes on a block is written.
	wantPayload = 1 << 20
	// wantEvery is how long items wait for others at most, so that a slow dump
	// that is cut short has not lost much.
	wantEvery = 5 * time.Second
)

// writer puts a dump together.
type writer struct {
	out     io.Writer
	payload []byte
	items   uint32
	written time.Time // when the last block was
}

func newWriter(out io.Writer) *writer { return &writer{out: out, written: time.Now()} }

// add takes an item. position is how many keys are done with it.
func (w *writer) add(it *item, position uint64) error {
	w.payload = it.append(w.payload)
	w.items++
	if len(w.payload) < wantPayload && time.Since(w.written) < wantEvery {
		return nil
	}
	return w.flush(position)
}

// flush writes what was added as a block.
func (w *writer) flush(position uint64) error {
	if w.items == 0 {
		return nil
	}
	k := block{kind: kindItems, length: uint32(len(w.payload)), items: w.items, crc: checksum(w.payload), position: position}
	if _, err := w.out.Write(k.append(nil)); err != nil {
		return err
	}
	_, err := w.out.Write(w.payload)
	w.payload, w.items, w.written = w.payload[:0], 0, time.Now()
	return err
}

// end writes that the dump is whole.
func (w *writer) end(position uint64) error {
	if err := w.flush(position); err != nil {
		return err
	}
	k := block{kind: kindEnd, position: position}
	_, err := w.out.Write(k.append(nil))
	return err
}
