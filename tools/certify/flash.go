package certify

import (
	"bufio"
	"context"
	"fmt"
	"slices"
	"time"
)

// Values are pushed out to flash by setting others until none is left in RAM of
// a few that were set last before. Which tier a value is in shows when it is
// read, in the statistics; and a value that has been read is no longer one that
// nobody reads. So every look takes fresh ones.
const (
	canariesPerLook = 8
	mostLooks       = 64
	canarySize      = 800 // bytes, as most values of the scripts
	// In bytes. It is of another slab class of memcached than any value of
	// the scripts, which so are not evicted for fillers.
	fillerSize     = 12000
	fillerTTL      = 3600 // seconds, for what is not deleted
	fillersPerLook = 700
	lookEvery      = 250 * time.Millisecond // once all fillers are set
)

// fill is one push of all values to flash.
type fill struct {
	*runner
	prefix  string // of its keys
	fillers int    // set so far
	looks   int
	stream  *stream
}

// moveToFlash has the server move what it has to flash. It returns why that
// cannot be had of this server, or an error if the server cannot be asked.
func (r *runner) moveToFlash(ctx context.Context) (why string, err error) {
	r.checks++
	f := &fill{runner: r, prefix: fmt.Sprintf("%s%d-fill-", r.prefix, r.checks)}
	conn, err := r.server.dial(ctx, r.opt, false)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	f.stream = &stream{conn: conn, in: bufio.NewReaderSize(conn, keepMost), timeout: r.opt.Timeout + time.Minute}
	defer f.remove(context.WithoutCancel(ctx))
	if err := f.setMany(f.canaries(0, mostLooks*canariesPerLook), canarySize); err != nil {
		return "", err
	}
	return f.push(ctx)
}

// push fills, and looks now and then whether that was enough.
func (f *fill) push(ctx context.Context) (why string, err error) {
	most := f.opt.Fill
	if most == 0 {
		most = 2 * int64(f.server.numbers["limit_maxbytes"])
	}
	step := max(fillersPerLook, int(most/fillerSize)/(mostLooks/2))
	for int64(f.fillers)*fillerSize < most {
		if err := f.setMany(f.names(f.fillers, f.fillers+step), fillerSize); err != nil {
			return "", err
		}
		f.fillers += step
		if done, err := f.look(ctx); done || err != nil {
			return "", err
		}
	}
	deadline := time.Now().Add(f.opt.FlashWait)
	for pause := lookEvery; time.Now().Before(deadline) && f.looks < mostLooks; pause += lookEvery / 2 {
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(pause):
		}
		if done, err := f.look(ctx); done || err != nil {
			return "", err
		}
	}
	return "values did not go to flash", nil
}

// look reads canaries that nobody has read, and tells whether all were on flash.
func (f *fill) look(ctx context.Context) (bool, error) {
	before, err := f.flashReads(ctx)
	if err != nil {
		return false, err
	}
	keys := f.canaries(f.looks*canariesPerLook, (f.looks+1)*canariesPerLook)
	f.looks++
	var out []byte
	for _, key := range keys {
		out = append(append(append(out, "get "...), key...), "\r\n"...)
	}
	if err := f.ask(append(out, "version\r\n"...)); err != nil {
		return false, err
	}
	after, err := f.flashReads(ctx)
	return after-before >= canariesPerLook, err
}

// flashReads is how many gets the server has answered from flash.
func (f *fill) flashReads(ctx context.Context) (uint64, error) {
	if err := f.server.learn(ctx, f.opt, "stats\r\n"); err != nil {
		return 0, err
	}
	return f.server.numbers["get_extstore"], nil
}

// ask sends commands of which version is the last, and passes over the replies.
func (f *fill) ask(out []byte) error {
	e := &env{}
	elements, err := compile(`{...}VERSION {~}\r\n`, e)
	if err == nil {
		err = f.stream.send(out, false)
	}
	if err == nil {
		err = f.stream.expect(elements, e)
	}
	if err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	return nil
}

// setMany sets keys, some at a time so that no buffer grows.
func (f *fill) setMany(keys []string, size int) error {
	value := slices.Repeat([]byte("filler.."), size/8)
	for batch := range slices.Chunk(keys, 1<<20/size) {
		var out []byte
		for _, key := range batch {
			out = fmt.Appendf(out, "set %s 0 %d %d noreply\r\n%s\r\n", key, fillerTTL, len(value), value)
		}
		if err := f.ask(append(out, "version\r\n"...)); err != nil {
			return err
		}
	}
	return nil
}

func (f *fill) canaries(from, to int) []string { return numbered(f.prefix+"canary-", from, to) }
func (f *fill) names(from, to int) []string    { return numbered(f.prefix, from, to) }

func numbered(prefix string, from, to int) (names []string) {
	for i := from; i < to; i++ {
		names = append(names, fmt.Sprint(prefix, i))
	}
	return names
}

func (f *fill) remove(ctx context.Context) {
	f.runner.remove(ctx, f.canaries(0, mostLooks*canariesPerLook))
	f.runner.remove(ctx, f.names(0, f.fillers))
}
