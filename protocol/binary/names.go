package binary

// The opcodes of Couchbase's server and of its streams, for who listens in. This
// server answers them with Unknown command.
const (
	RGet       Opcode = 0x30 // ranges
	RSet       Opcode = 0x31
	RSetQ      Opcode = 0x32
	RAppend    Opcode = 0x33
	RAppendQ   Opcode = 0x34
	RPrepend   Opcode = 0x35
	RPrependQ  Opcode = 0x36
	RDelete    Opcode = 0x37
	RDeleteQ   Opcode = 0x38
	RIncr      Opcode = 0x39
	RIncrQ     Opcode = 0x3a
	RDecr      Opcode = 0x3b
	RDecrQ     Opcode = 0x3c
	SetVBucket Opcode = 0x3d
	GetVBucket Opcode = 0x3e
	DelVBucket Opcode = 0x3f

	TapConnect         Opcode = 0x40
	TapMutation        Opcode = 0x41
	TapDelete          Opcode = 0x42
	TapFlush           Opcode = 0x43
	TapOpaque          Opcode = 0x44
	TapVBucketSet      Opcode = 0x45
	TapCheckpointStart Opcode = 0x46
	TapCheckpointEnd   Opcode = 0x47

	UPROpen        Opcode = 0x50
	UPRAddStream   Opcode = 0x51
	UPRCloseStream Opcode = 0x52
	UPRStreamReq   Opcode = 0x53
	UPRFailoverLog Opcode = 0x54
	UPRStreamEnd   Opcode = 0x55
	UPRSnapshot    Opcode = 0x56
	UPRMutation    Opcode = 0x57
	UPRDeletion    Opcode = 0x58
	UPRExpiration  Opcode = 0x59
	UPRFlush       Opcode = 0x5a
	UPRNoop        Opcode = 0x5c
	UPRBufferAck   Opcode = 0x5d
	UPRControl     Opcode = 0x5e

	GetReplica   Opcode = 0x83
	SelectBucket Opcode = 0x89
	ObserveSeqno Opcode = 0x91
	Observe      Opcode = 0x92
)

var names = [256]string{
	Get: "GET", Set: "SET", Add: "ADD", Replace: "REPLACE", Delete: "DELETE",
	Increment: "INCREMENT", Decrement: "DECREMENT", Quit: "QUIT", Flush: "FLUSH",
	GetQ: "GETQ", Noop: "NOOP", Version: "VERSION", GetK: "GETK", GetKQ: "GETKQ",
	Append: "APPEND", Prepend: "PREPEND", Stat: "STAT", SetQ: "SETQ", AddQ: "ADDQ",
	ReplaceQ: "REPLACEQ", DeleteQ: "DELETEQ", IncrementQ: "INCREMENTQ",
	DecrementQ: "DECREMENTQ", QuitQ: "QUITQ", FlushQ: "FLUSHQ", AppendQ: "APPENDQ",
	PrependQ: "PREPENDQ", Verbosity: "VERBOSITY", Touch: "TOUCH", GAT: "GAT",
	GATQ: "GATQ", SASLListMech: "SASL_LIST_MECHS", SASLAuth: "SASL_AUTH",
	SASLStep: "SASL_STEP", GATK: "GATK", GATKQ: "GATKQ",

	RGet: "RGET", RSet: "RSET", RSetQ: "RSETQ", RAppend: "RAPPEND", RAppendQ: "RAPPENDQ",
	RPrepend: "RPREPEND", RPrependQ: "RPREPENDQ", RDelete: "RDELETE", RDeleteQ: "RDELETEQ",
	RIncr: "RINCR", RIncrQ: "RINCRQ", RDecr: "RDECR", RDecrQ: "RDECRQ",
	SetVBucket: "SET_VBUCKET", GetVBucket: "GET_VBUCKET", DelVBucket: "DEL_VBUCKET",

	TapConnect: "TAP_CONNECT", TapMutation: "TAP_MUTATION", TapDelete: "TAP_DELETE",
	TapFlush: "TAP_FLUSH", TapOpaque: "TAP_OPAQUE", TapVBucketSet: "TAP_VBUCKET_SET",
	TapCheckpointStart: "TAP_CHECKPOINT_START", TapCheckpointEnd: "TAP_CHECKPOINT_END",

	UPROpen: "UPR_OPEN", UPRAddStream: "UPR_ADDSTREAM", UPRCloseStream: "UPR_CLOSESTREAM",
	UPRStreamReq: "UPR_STREAMREQ", UPRFailoverLog: "UPR_FAILOVERLOG",
	UPRStreamEnd: "UPR_STREAMEND", UPRSnapshot: "UPR_SNAPSHOT", UPRMutation: "UPR_MUTATION",
	UPRDeletion: "UPR_DELETION", UPRExpiration: "UPR_EXPIRATION", UPRFlush: "UPR_FLUSH",
	UPRNoop: "UPR_NOOP", UPRBufferAck: "UPR_BUFFERACK", UPRControl: "UPR_CONTROL",

	GetReplica: "GET_REPLICA", SelectBucket: "SELECT_BUCKET", ObserveSeqno: "OBSERVE_SEQNO", Observe: "OBSERVE",
}
