// Package certify holds a memcached server to its protocol, byte by byte: it is
// to hearth what memcapable is to libmemcached, and covers the meta commands and
// values that the server has moved to flash as well.
//
// A check is a short script in checks/: bytes to send and the bytes that must
// come back, with patterns where a number may vary. What is expected is what
// memcached 1.6.45 answers. Every check runs on connections of its own, which
// must be in step after it: the reply to one more command has to be the next
// bytes on them, and nothing may be left over.
//
// A script reads:
//
//	= set stores a value and its flags
//	> set {k} 5 0 2\r\nhi\r\n
//	< STORED\r\n
//	> get {k}\r\n
//	< VALUE {k} 5 2\r\nhi\r\nEND\r\n
//
// Lines that begin with > are sent, those with < expected, a run of the same
// kind at once; >> sends byte by byte. A 2 before them is a second connection; a
// B is one that speaks the binary protocol, whose lines are packets in words (see
// packet.go). Lines that begin with ! are directives (see script.go), # is a
// comment, and braces hold what is only known when the check runs (see
// pattern.go).
package certify
