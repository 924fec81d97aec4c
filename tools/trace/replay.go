package trace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Config says how to replay.
type Config struct {
	// WarmUp is the share of the requests, at the beginning, that Result.Steady
	// leaves out; 0 means a third.
	WarmUp float64
	// Batch is how many requests are sent at a time; 0 means 64.
	Batch int
	// Limit ends the replay after so many requests; 0 means at the trace's end.
	Limit uint64
	// Progress, if not nil, is called now and then.
	Progress func(*Tally)
}

func (c Config) withDefaults() (Config, error) {
	if c.WarmUp == 0 {
		c.WarmUp = 1.0 / 3
	}
	if c.Batch == 0 {
		c.Batch = 64
	}
	if c.WarmUp < 0 || c.WarmUp >= 1 || c.Batch < 1 {
		return c, fmt.Errorf("warm-up %g and batch %d: want a share below 1 and at least 1", c.WarmUp, c.Batch)
	}
	return c, nil
}

// batchBytes ends a batch early, so that its values need not much memory.
const batchBytes = 1 << 20

// job is a request of the batch: what it may find, and what is to be done next.
type job struct {
	Request
	state state // of its key when it was sent
}

// replayer is a replay under way.
type replayer struct {
	cfg    Config
	target Target
	model  model
	jobs   []job
	calls  []Call
	second []job  // what follows the answers of the first calls
	then   []Call // the calls of those
	arena  []byte // keys and values of the batch
	tally  Tally
	steps  []Tally // from time to time, for the warm-up
}

// Run replays a trace.
func Run(ctx context.Context, from Reader, target Target, cfg Config) (*Result, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &replayer{cfg: cfg, target: target}
	before, err := target.Usage()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := p.all(ctx, from); err != nil {
		return nil, err
	}
	seconds := time.Since(began).Seconds()
	after, err := target.Usage()
	if err != nil {
		return nil, err
	}
	return p.result(seconds, before, after), nil
}

func (p *replayer) all(ctx context.Context, from Reader) error {
	for more := true; more; {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var err error
		if more, err = p.fill(from); err != nil {
			return err
		}
		if err := p.batch(); err != nil {
			return fmt.Errorf("after %d requests: %w", p.tally.Requests, err)
		}
		p.note()
	}
	return nil
}

// fill takes the next batch from the trace; false at its end.
func (p *replayer) fill(from Reader) (more bool, err error) {
	p.jobs, p.calls, p.second, p.then, p.arena = p.jobs[:0], p.calls[:0], p.second[:0], p.then[:0], p.arena[:0]
	bytes := 0
	for len(p.jobs) < p.cfg.Batch && bytes < batchBytes {
		if p.cfg.Limit > 0 && p.tally.Requests+uint64(len(p.jobs)) == p.cfg.Limit {
			return false, nil
		}
		var r Request
		if err := from.Next(&r); errors.Is(err, io.EOF) {
			return false, nil
		} else if err != nil {
			return false, err
		}
		bytes += r.ValueSize
		p.add(&r)
	}
	return true, nil
}

// add makes r a job with its call. A CAS is a Gets here.
func (p *replayer) add(r *Request) {
	s := p.model.at(r.Key)
	s.counter = s.counter || r.Counter || r.Op == Incr
	if r.Op == Prepend && s.counter {
		r.Op = Set
	}
	if r.ValueSize == 0 && r.Op.reads() {
		r.ValueSize = int(s.size)
	}
	c := p.call(r)
	switch r.Op {
	case Set:
		p.write(&c, r, s.set(r.ValueSize))
	case Add, Replace:
		p.write(&c, r, s.try(r.ValueSize))
	case CAS:
		c.Op = Gets
	case Delete:
		s.remove()
	case Incr:
		s.changes++
	case Prepend:
		s.changes++
		c.Value = p.piece(r, s.changes)
	}
	p.jobs = append(p.jobs, job{*r, *s})
	p.calls = append(p.calls, c)
}

func (p *replayer) call(r *Request) Call {
	start := len(p.arena)
	p.arena = appendKey(p.arena, r.Key, r.KeySize)
	return Call{Op: r.Op, Key: p.arena[start:], TTL: p.target.TTL(r.TTL)}
}

// write gives the call the value of that version of the key.
func (p *replayer) write(c *Call, r *Request, version uint32) {
	start := len(p.arena)
	p.arena = appendValue(p.arena, r.Key, version, r.ValueSize, p.model.at(r.Key).counter)
	c.Value = p.arena[start:]
}

func (p *replayer) piece(r *Request, n uint32) []byte {
	start := len(p.arena)
	p.arena = appendPiece(p.arena, r.Key, n)
	return p.arena[start:]
}

// batch sends the calls, and then what follows from their answers.
func (p *replayer) batch() error {
	if len(p.jobs) == 0 {
		return nil
	}
	p.target.At(p.jobs[0].Time)
	if err := p.target.Do(p.calls); err != nil {
		return err
	}
	for i := range p.calls {
		p.judge(&p.jobs[i], &p.calls[i])
	}
	if err := p.target.Do(p.then); err != nil {
		return err
	}
	for i := range p.then {
		p.settle(&p.second[i], &p.then[i])
	}
	return nil
}

// judge counts the answer to a job's first call and says what follows.
func (p *replayer) judge(j *job, c *Call) {
	p.tally.count(j, c)
	if c.Op.reads() && c.Status == Hit {
		if bad := j.state.check(j.Key, c.Found); bad != "" {
			p.tally.wrong(c, bad)
		}
	}
	switch {
	case c.Op.reads() && j.Op != LoneGet && c.Status == Missed:
		p.store(j, Set, 0)
	case j.Op == CAS && c.Status == Hit:
		p.store(j, CAS, c.CAS)
	default:
		p.settle(j, c)
	}
}

// store has the value of a job's key written after the batch, once.
func (p *replayer) store(j *job, op Op, cas uint64) {
	s := p.model.at(j.Key)
	if op == Set {
		if s.issued != j.state.issued {
			return // written meanwhile: by this batch, or by this for another of its misses
		}
		if j.ValueSize == 0 {
			return // a get of a file that does not tell the size
		}
	}
	c := p.call(&j.Request)
	c.Op, c.CAS = op, cas
	if op == Set {
		p.write(&c, &j.Request, s.set(j.ValueSize))
	} else {
		p.write(&c, &j.Request, s.try(j.ValueSize))
	}
	p.second = append(p.second, job{j.Request, *s})
	p.then = append(p.then, c)
}

// settle is told the answer to a write.
func (p *replayer) settle(j *job, c *Call) {
	s := p.model.at(j.Key)
	switch {
	case c.Op.reads():
	case c.Status == Refused:
		p.tally.refuse(c)
	case c.Status == Done && (c.Op == Prepend || c.Op == Incr) && s.issued == j.state.issued:
		s.applied++
	case c.Status == Done:
		p.tally.Stored += uint64(len(c.Value))
		if c.Op != Delete { // of those that may be refused, too, nothing older is left
			s.oldest = max(s.oldest, j.state.issued)
		}
	}
}

// stepEvery is how many requests there are between two entries of steps.
const stepEvery = 16384

func (p *replayer) note() {
	if p.tally.Requests/stepEvery >= uint64(len(p.steps))+1 {
		p.steps = append(p.steps, p.tally)
		if p.cfg.Progress != nil {
			p.cfg.Progress(&p.tally)
		}
	}
}

// steady is the tally of what came after the warm-up.
func (p *replayer) steady() Tally {
	if i := int(p.cfg.WarmUp * float64(len(p.steps))); len(p.steps) > 0 {
		return p.tally.since(&p.steps[i])
	}
	return p.tally
}
