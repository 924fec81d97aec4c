package protocol

import "strconv"

// BinaryStatus is the status of a binary reply.
type BinaryStatus uint16

// The statuses. memcached's server sends those up to StatusInternalError that are
// not marked; Couchbase's, which has the same protocol, the others as well.
const (
	StatusOK               BinaryStatus = 0x00
	StatusKeyNotFound      BinaryStatus = 0x01
	StatusKeyExists        BinaryStatus = 0x02
	StatusTooLarge         BinaryStatus = 0x03
	StatusInvalidArguments BinaryStatus = 0x04
	StatusNotStored        BinaryStatus = 0x05
	StatusNonNumeric       BinaryStatus = 0x06
	StatusNotMyVBucket     BinaryStatus = 0x07 // Couchbase's
	StatusNoBucket         BinaryStatus = 0x08 // Couchbase's
	StatusLocked           BinaryStatus = 0x09 // Couchbase's
	StatusAuthStale        BinaryStatus = 0x1f // Couchbase's
	StatusAuthError        BinaryStatus = 0x20
	StatusAuthContinue     BinaryStatus = 0x21
	StatusOutOfRange       BinaryStatus = 0x22 // Couchbase's
	StatusRollback         BinaryStatus = 0x23 // Couchbase's: a UPR stream must go back
	StatusNoAccess         BinaryStatus = 0x24 // Couchbase's
	StatusUnknownCommand   BinaryStatus = 0x81
	StatusNoMemory         BinaryStatus = 0x82
	StatusNotSupported     BinaryStatus = 0x83
	StatusInternalError    BinaryStatus = 0x84
	StatusBusy             BinaryStatus = 0x85 // Couchbase's
	StatusTemporaryFailure BinaryStatus = 0x86 // Couchbase's
)

// statuses are the statuses' names, and the texts that memcached sends with them.
var statuses = [...]struct{ name, text string }{
	StatusOK:               {"SUCCESS", ""},
	StatusKeyNotFound:      {"KEY_ENOENT", "Not found"},
	StatusKeyExists:        {"KEY_EEXISTS", "Data exists for key."},
	StatusTooLarge:         {"E2BIG", "Too large."},
	StatusInvalidArguments: {"EINVAL", "Invalid arguments"},
	StatusNotStored:        {"NOT_STORED", "Not stored."},
	StatusNonNumeric:       {"DELTA_BADVAL", "Non-numeric server-side value for incr or decr"},
	StatusNotMyVBucket:     {"NOT_MY_VBUCKET", ""},
	StatusNoBucket:         {"NO_BUCKET", ""},
	StatusLocked:           {"LOCKED", ""},
	StatusAuthStale:        {"AUTH_STALE", ""},
	StatusAuthError:        {"AUTH_ERROR", "Auth failure."},
	StatusAuthContinue:     {"AUTH_CONTINUE", ""},
	StatusOutOfRange:       {"ERANGE", ""},
	StatusRollback:         {"ROLLBACK", ""},
	StatusNoAccess:         {"EACCESS", ""},
	StatusUnknownCommand:   {"UNKNOWN_COMMAND", "Unknown command"},
	StatusNoMemory:         {"ENOMEM", "Out of memory"},
	StatusNotSupported:     {"NOT_SUPPORTED", "Not supported."},
	StatusInternalError:    {"EINTERNAL", "Internal error."},
	StatusBusy:             {"EBUSY", ""},
	StatusTemporaryFailure: {"TMPFAIL", ""},
}

// String returns the name that memcached's documentation gives s, or its number.
func (s BinaryStatus) String() string {
	if int(s) < len(statuses) && statuses[s].name != "" {
		return statuses[s].name
	}
	return "0x" + strconv.FormatUint(uint64(s), 16)
}

// Text is what memcached sends with s, for people to read; empty where it sends
// nothing, or never sends s.
func (s BinaryStatus) Text() string {
	if int(s) >= len(statuses) {
		return ""
	}
	return statuses[s].text
}
