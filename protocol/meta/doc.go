// Package meta parses and writes memcached's meta protocol, as of 1.6.45: the
// commands of two letters on connections of the text protocol.
//
//	mg key flags*            look up              VA length flags* + value, HD flags*, EN
//	ms key length flags*     store; value behind  HD, NS, EX, NF
//	md key flags*            delete               HD, NF, EX
//	ma key flags*            count                HD, VA length flags* + number, NF, EX
//	me key                   look into an item    ME key name=value*, EN
//	mn                       nothing              MN
//
// A flag is a letter, most with nothing behind it:
//
//	b       the key is in base64            q       do not answer what is expected
//	v       answer the value                u       mg: do not count as an access
//	s f c   answer length, client flags, CAS
//	t l h   answer seconds left, seconds since the last access, accessed before
//	k O...  answer the key, these at most 31 bytes
//	T N R   exptime; make an absent item with this one; win if less is left
//	F C E   client flags; the CAS it must have; the CAS it gets
//	I x     store or leave a stale item; delete the value only
//	M       mode: ms E(add) A(ppend) P(repend) R(eplace) S(et), ma I + D -
//	D J     ma: the delta, the number an absent item is made with
//
// Every command takes every flag and passes over those that it has no use for.
// The reply repeats the flags that ask for something in the order in which they
// came. To a hit of mg it adds Z (another client is to bring a new value), X
// (stale) and W (this client is to).
//
// A server has a text.Parser, which calls Parse for the lines of meta commands,
// and answers with the functions of package protocol. Clients, proxies and
// sniffers have AppendRequest and ReplyParser. Nothing here allocates, nothing
// keeps what it was given, and nothing is shared between calls.
//
// # Where this is not memcached
//
// A refused ms always has its value passed over if its length is known, so that
// no value is ever taken for commands. A number ends with its word, so that no
// byte of the value behind the line becomes part of it. An opaque that is too
// long is refused before anything is changed. The key in a reply is written as
// the request had it, whoever stored the item how. me takes b wherever it
// stands among the flags.
package meta
