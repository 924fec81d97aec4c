package binary

import (
	"strconv"

	"github.com/hearthcache/hearth/protocol"
)

// Opcode is a command as a packet names it.
type Opcode uint8

// The opcodes that memcached's server answers. Those that end in Q are quiet: see
// protocol.Request.Quiet. Verbosity is described in its documentation only.
const (
	Get          Opcode = 0x00
	Set          Opcode = 0x01
	Add          Opcode = 0x02
	Replace      Opcode = 0x03
	Delete       Opcode = 0x04
	Increment    Opcode = 0x05
	Decrement    Opcode = 0x06
	Quit         Opcode = 0x07
	Flush        Opcode = 0x08
	GetQ         Opcode = 0x09
	Noop         Opcode = 0x0a
	Version      Opcode = 0x0b
	GetK         Opcode = 0x0c // the reply has the key, as with all that have a K
	GetKQ        Opcode = 0x0d
	Append       Opcode = 0x0e
	Prepend      Opcode = 0x0f
	Stat         Opcode = 0x10
	SetQ         Opcode = 0x11
	AddQ         Opcode = 0x12
	ReplaceQ     Opcode = 0x13
	DeleteQ      Opcode = 0x14
	IncrementQ   Opcode = 0x15
	DecrementQ   Opcode = 0x16
	QuitQ        Opcode = 0x17
	FlushQ       Opcode = 0x18
	AppendQ      Opcode = 0x19
	PrependQ     Opcode = 0x1a
	Verbosity    Opcode = 0x1b
	Touch        Opcode = 0x1c
	GAT          Opcode = 0x1d // get and touch
	GATQ         Opcode = 0x1e
	SASLListMech Opcode = 0x20
	SASLAuth     Opcode = 0x21
	SASLStep     Opcode = 0x22
	GATK         Opcode = 0x23
	GATKQ        Opcode = 0x24
)

// keyRule says whether a request has a key.
type keyRule uint8

const (
	noKey keyRule = iota
	withKey
	mayHaveKey
)

// shape is what a request of one opcode looks like. An opcode without an op is
// unknown.
type shape struct {
	op     protocol.Op
	extras uint8 // their length; Flush may have none as well
	key    keyRule
	quiet  bool
	value  bool // whether it may have one
}

// shapes are the requests that the server knows, by opcode.
var shapes = [256]shape{
	Get:          {op: protocol.OpGet, key: withKey},
	GetQ:         {op: protocol.OpGet, key: withKey, quiet: true},
	GetK:         {op: protocol.OpGet, key: withKey},
	GetKQ:        {op: protocol.OpGet, key: withKey, quiet: true},
	GAT:          {op: protocol.OpGat, extras: 4, key: withKey},
	GATQ:         {op: protocol.OpGat, extras: 4, key: withKey, quiet: true},
	GATK:         {op: protocol.OpGat, extras: 4, key: withKey},
	GATKQ:        {op: protocol.OpGat, extras: 4, key: withKey, quiet: true},
	Touch:        {op: protocol.OpTouch, extras: 4, key: withKey},
	Set:          {op: protocol.OpSet, extras: 8, key: withKey, value: true},
	SetQ:         {op: protocol.OpSet, extras: 8, key: withKey, value: true, quiet: true},
	Add:          {op: protocol.OpAdd, extras: 8, key: withKey, value: true},
	AddQ:         {op: protocol.OpAdd, extras: 8, key: withKey, value: true, quiet: true},
	Replace:      {op: protocol.OpReplace, extras: 8, key: withKey, value: true},
	ReplaceQ:     {op: protocol.OpReplace, extras: 8, key: withKey, value: true, quiet: true},
	Append:       {op: protocol.OpAppend, key: withKey, value: true},
	AppendQ:      {op: protocol.OpAppend, key: withKey, value: true, quiet: true},
	Prepend:      {op: protocol.OpPrepend, key: withKey, value: true},
	PrependQ:     {op: protocol.OpPrepend, key: withKey, value: true, quiet: true},
	Delete:       {op: protocol.OpDelete, key: withKey},
	DeleteQ:      {op: protocol.OpDelete, key: withKey, quiet: true},
	Increment:    {op: protocol.OpIncr, extras: 20, key: withKey},
	IncrementQ:   {op: protocol.OpIncr, extras: 20, key: withKey, quiet: true},
	Decrement:    {op: protocol.OpDecr, extras: 20, key: withKey},
	DecrementQ:   {op: protocol.OpDecr, extras: 20, key: withKey, quiet: true},
	Quit:         {op: protocol.OpQuit},
	QuitQ:        {op: protocol.OpQuit, quiet: true},
	Flush:        {op: protocol.OpFlushAll, extras: 4},
	FlushQ:       {op: protocol.OpFlushAll, extras: 4, quiet: true},
	Noop:         {op: protocol.OpNoop},
	Version:      {op: protocol.OpVersion},
	Verbosity:    {op: protocol.OpVerbosity, extras: 4},
	Stat:         {op: protocol.OpStats, key: mayHaveKey},
	SASLListMech: {op: protocol.OpSASLList},
	SASLAuth:     {op: protocol.OpSASLAuth, key: withKey, value: true},
	SASLStep:     {op: protocol.OpSASLStep, key: withKey, value: true},
}

// sasl tells whether a request of shape s has credentials in place of a value.
func (s *shape) sasl() bool { return s.op == protocol.OpSASLAuth || s.op == protocol.OpSASLStep }

// fits tells whether lengths are those of a request of shape s.
func (s *shape) fits(key, extras, body int) bool {
	switch {
	case extras != int(s.extras) && !(s.op == protocol.OpFlushAll && extras == 0):
		return false
	case key == 0 && s.key == withKey, key != 0 && s.key == noKey:
		return false
	}
	return s.value || body == key+extras
}

// Op is the command that o stands for, 0 if the server has none.
func (o Opcode) Op() protocol.Op { return shapes[o].op }

// Quiet tells whether o leaves the expected outcome without a reply.
func (o Opcode) Quiet() bool { return shapes[o].quiet }

// String returns the name that memcached's documentation gives o, or its number.
func (o Opcode) String() string {
	if names[o] != "" {
		return names[o]
	}
	return "0x" + strconv.FormatUint(uint64(o), 16)
}
