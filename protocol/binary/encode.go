package binary

import (
	"strconv"

	"github.com/hearthcache/hearth/protocol"
)

// pair are the opcodes of an Op.
type pair struct {
	loud, quiet Opcode
}

// opcodes are the opcodes by Op. Who has no quiet one has the loud one twice.
var opcodes = [protocol.Ops]pair{
	protocol.OpGet: {Get, GetQ}, protocol.OpGets: {Get, GetQ},
	protocol.OpGat: {GAT, GATQ}, protocol.OpGats: {GAT, GATQ},
	protocol.OpSet: {Set, SetQ}, protocol.OpAdd: {Add, AddQ}, protocol.OpReplace: {Replace, ReplaceQ},
	protocol.OpAppend: {Append, AppendQ}, protocol.OpPrepend: {Prepend, PrependQ}, protocol.OpCAS: {Set, SetQ},
	protocol.OpIncr: {Increment, IncrementQ}, protocol.OpDecr: {Decrement, DecrementQ},
	protocol.OpTouch: {Touch, Touch}, protocol.OpDelete: {Delete, DeleteQ}, protocol.OpFlushAll: {Flush, FlushQ},
	protocol.OpVersion: {Version, Version}, protocol.OpVerbosity: {Verbosity, Verbosity}, protocol.OpStats: {Stat, Stat},
	protocol.OpQuit: {Quit, QuitQ}, protocol.OpNoop: {Noop, Noop},
	protocol.OpSASLList: {SASLListMech, SASLListMech}, protocol.OpSASLAuth: {SASLAuth, SASLAuth}, protocol.OpSASLStep: {SASLStep, SASLStep},
}

// opcodeOf is the opcode to send r with: its own, where that fits.
func opcodeOf(r *protocol.Request) Opcode {
	both := opcodes[r.Op]
	if both.loud == Get && shapes[Get].op != r.Op && r.Op != protocol.OpGets {
		panic("binary: no such command: " + strconv.Itoa(int(r.Op)))
	}
	code := both.loud
	if r.Quiet {
		code = both.quiet
	}
	own := Opcode(r.Opcode)
	if own.Quiet() == code.Quiet() && (own.Op() == code.Op() || r.Op == protocol.OpCAS && shapes[own].extras == 8) {
		return own
	}
	return code
}

// AppendRequest appends r as a client sends it. Its opcode is r.Opcode where that
// is one of r.Op and r.Quiet, which is how to ask for the key in the reply, and
// otherwise the plain one. An exptime below 0 becomes one that has passed, as the
// protocol has no sign. It allocates only to grow dst, and does not check lengths;
// an Op that the protocol does not have is the caller's mistake, and panics.
func AppendRequest(dst []byte, r *protocol.Request) []byte {
	p := Packet{
		Magic: protocol.MagicRequest, Opcode: opcodeOf(r), Opaque: r.Opaque,
		Key: r.Key, Value: r.Value,
	}
	if r.Compare || r.Op == protocol.OpCAS {
		p.CAS = r.CAS
	}
	var extras [20]byte
	switch r.Op {
	case protocol.OpSet, protocol.OpAdd, protocol.OpReplace, protocol.OpCAS:
		be.PutUint32(extras[:], r.Flags)
		be.PutUint32(extras[4:], exptime(r.Exptime))
	case protocol.OpIncr, protocol.OpDecr:
		be.PutUint64(extras[:], r.Delta)
		be.PutUint64(extras[8:], r.Initial)
		be.PutUint32(extras[16:], vivifyExptime(r))
	case protocol.OpGat, protocol.OpGats, protocol.OpTouch, protocol.OpFlushAll:
		be.PutUint32(extras[:], exptime(r.Exptime))
	case protocol.OpVerbosity:
		be.PutUint32(extras[:], uint32(r.Delta))
	case protocol.OpStats:
		p.Key = r.Args
	}
	if r.Op != protocol.OpFlushAll || r.HasExp {
		p.Extras = extras[:shapes[p.Opcode].extras]
	}
	return p.Append(dst)
}

// passed is an exptime that has passed: over 30 days, so a Unix time, of 1970.
const passed = 30*24*60*60 + 1

// exptime is t as the protocol has it.
func exptime(t int64) uint32 {
	if t < 0 {
		return passed
	}
	return uint32(min(t, 1<<32-1))
}

func vivifyExptime(r *protocol.Request) uint32 {
	if !r.Vivify {
		return noVivify
	}
	return min(exptime(r.VivifyExptime), noVivify-1)
}

// Outcome tells what the status of the reply to r says of it, as far as it is the
// outcome of a command: ok is false where it is not, so with any of
// authentication or of wrong arguments.
func Outcome(r *protocol.Request, status protocol.BinaryStatus) (o protocol.Outcome, ok bool) {
	switch status {
	case protocol.StatusOK:
		return success(r.Op), true
	case protocol.StatusKeyNotFound:
		switch {
		case r.Op.Retrieval():
			return protocol.Miss, true
		case r.Op == protocol.OpReplace:
			return protocol.NotStored, true
		}
		return protocol.NotFound, true
	case protocol.StatusKeyExists:
		if r.Op == protocol.OpAdd {
			return protocol.NotStored, true
		}
		return protocol.Exists, true
	case protocol.StatusNotStored:
		return protocol.NotStored, true
	case protocol.StatusTooLarge:
		return protocol.TooLarge, true
	case protocol.StatusNonNumeric:
		return protocol.NonNumeric, true
	case protocol.StatusNoMemory:
		return protocol.NoMemory, true
	}
	return protocol.Unknown, status == protocol.StatusUnknownCommand
}

// success is the outcome of op when all went well.
func success(op protocol.Op) protocol.Outcome {
	switch {
	case op.Retrieval():
		return protocol.Hit
	case op.Storage(), op == protocol.OpIncr, op == protocol.OpDecr:
		return protocol.Stored
	case op == protocol.OpTouch:
		return protocol.Touched
	case op == protocol.OpDelete:
		return protocol.Deleted
	}
	return protocol.Done
}
