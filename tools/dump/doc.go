// Package dump copies what a server has, over the wire: to a file, and from a file
// to a server, both Hearth or memcached.
//
// # What holds
//
//   - A value is stored byte for byte as the source had it, with its client flags,
//     and does not live longer than it would have there.
//   - The source stays as it was: looking counts as no access, and a stale item's
//     right to be renewed is given back. Stale items, and empty ones that wait for
//     their value, are left out: loaded they would pass for good.
//   - An item that the target has is kept, unless asked otherwise.
//   - Nothing that is damaged is loaded: the error says where.
//   - What was cut short goes on where it was: a dump by the list of keys beside
//     its file and the last whole block, a load by a note of the last block that
//     the target has taken whole.
//
// # The file
//
// All numbers are little-endian. A file is a header, blocks of items, and a block
// that says that it is whole.
//
//	header, 40 bytes
//	 0  magic "HEARTHDU"
//	 8  version, uint16: 1
//	10  zero, 2 bytes
//	12  id, 16 bytes: which dump, chosen at random
//	28  when it began, int64: seconds since 1970
//	36  CRC-32C of the 36 bytes before
//
//	block, 32 bytes and the payload
//	 0  kind, uint32: 1 items, 2 the end
//	 4  length of the payload, uint32: at most 1 GiB and 1 MiB
//	 8  how many items are in it, uint32
//	12  CRC-32C of the payload
//	16  position, uint64: how many keys of the list are done with this block
//	24  zero, 4 bytes
//	28  CRC-32C of the 28 bytes before
//
//	item
//	    length of the key, 1 byte: 1 to 250
//	    length of the value, uvarint
//	    client flags, uvarint
//	    when it expires, uvarint: seconds since 1970, 0 for never
//	    key, value
//
// The end has no payload. Other versions are refused.
package dump
