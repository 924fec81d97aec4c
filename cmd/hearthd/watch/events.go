package watch

import "strconv"

// lineSpace is room for the longest line: a key of 250 bytes, each written as
// three, and some numbers.
const lineSpace = 1024

// AppendKey appends key as it stands in lines and dumps: all but letters, digits
// and -._~ as % and two hexadecimal digits.
func AppendKey(b, key []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range key {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
			b = append(b, c)
		default:
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}

func appendWord(b []byte, name, value string) []byte {
	return append(append(b, name...), value...)
}

func appendInt(b []byte, name string, value int64) []byte {
	return strconv.AppendInt(append(b, name...), value, 10)
}

func (l *Log) beginItem(b []byte, event string, key []byte) []byte {
	return AppendKey(append(l.begin(b, event), " key="...), key)
}

// Fetched logs a lookup. Status is found, not_found, flushed or expired; class is
// the item's by size and size the length of its value in bytes, both 0 if there is
// none; fd is the client's descriptor.
func (l *Log) Fetched(key []byte, status string, class, fd, size int) {
	var space [lineSpace]byte
	b := l.beginItem(space[:0], "item_get", key)
	b = appendWord(b, " status=", status)
	l.endItem(Fetchers, b, class, fd, size)
}

// Stored logs that cmd, such as set, stored a value, or why it did not: not_stored,
// exists, not_found, too_large or no_memory. ttl is in seconds, 0 for never.
func (l *Log) Stored(key []byte, status, cmd string, ttl int64, class, fd, size int) {
	var space [lineSpace]byte
	b := l.beginItem(space[:0], "item_store", key)
	b = appendWord(b, " status=", status)
	b = appendWord(b, " cmd=", cmd)
	b = appendInt(b, " ttl=", ttl)
	l.endItem(Mutations, b, class, fd, size)
}

func (l *Log) endItem(k Kind, b []byte, class, fd, size int) {
	b = appendInt(b, " clsid=", int64(class))
	b = appendInt(b, " cfd=", int64(fd))
	l.publish(k, appendInt(b, " size=", int64(size)))
}

// Deleted logs that cmd, delete or md, took an item away.
func (l *Log) Deleted(key []byte, cmd string, class, size int) {
	var space [lineSpace]byte
	b := l.beginItem(space[:0], "deleted", key)
	b = appendWord(b, " cmd=", cmd)
	b = appendInt(b, " clsid=", int64(class))
	l.publish(Deletions, appendInt(b, " size=", int64(size)))
}

// Leaving is an item that leaves RAM for want of room.
type Leaving struct {
	Key     []byte
	Fetched bool  // it was read since it was stored
	TTL     int64 // seconds left, -1 never ends
	Age     int64 // seconds since it was last accessed
	Class   int
	Size    int // of its value, bytes
}

// Evicted logs that an item is gone for want of room.
func (l *Log) Evicted(e *Leaving) {
	var space [lineSpace]byte
	b := l.beginLeaving(space[:0], "eviction", e)
	l.publish(Evictions, appendInt(b, " size=", int64(e.Size)))
}

// MovedToFlash logs that an item is on flash from now on.
func (l *Log) MovedToFlash(e *Leaving) {
	var space [lineSpace]byte
	b := l.beginLeaving(space[:0], "extwrite", e)
	l.publish(Evictions, append(b, " bucket=0"...))
}

// Promoted logs that an item on flash is to have a copy in RAM.
func (l *Log) Promoted(key []byte, class, size int) {
	var space [lineSpace]byte
	b := appendInt(l.beginItem(space[:0], "promote", key), " clsid=", int64(class))
	l.publish(Evictions, appendInt(b, " size=", int64(size)))
}

func (l *Log) beginLeaving(b []byte, event string, e *Leaving) []byte {
	b = l.beginItem(b, event, e.Key)
	if e.Fetched {
		b = append(b, " fetch=yes"...)
	} else {
		b = append(b, " fetch=no"...)
	}
	b = appendInt(b, " ttl=", e.TTL)
	b = appendInt(b, " la=", e.Age)
	return appendInt(b, " clsid=", int64(e.Class))
}

// System logs what the server does by itself. The text is words like name=value
// behind the event's name.
func (l *Log) System(text string) {
	var space [lineSpace]byte
	l.publish(SysEvents, l.begin(space[:0], text))
}
