package protocol

// The replies. Each appends to dst the reply to r in the protocol of r: nothing
// where r is quiet about it. Noreply is the server's business: it drops the reply
// to such a request.

// BeginValue begins the reply of a retrieval that may be a hit, and leaves a gap
// for what is only known once the value has been copied out. The caller appends
// the value and calls EndValue with the mark, or cuts the buffer back to its old
// length.
func BeginValue(dst []byte, r *Request) (out []byte, mark int) {
	switch r.Proto {
	case Meta:
		return beginMeta(dst, r)
	case Binary:
		return beginBinary(dst, r)
	}
	return beginText(dst, r.Key)
}

// EndValue completes the reply begun at mark. Of it, Size is taken from the value;
// but see Request.NoValue.
// The buffer never grows.
func EndValue(dst []byte, mark int, r *Request, it *Item) []byte {
	switch r.Proto {
	case Meta:
		return endMeta(dst, mark, r, it)
	case Binary:
		return endBinary(dst, mark, it)
	}
	return endText(dst, mark, it.Flags, it.CAS, r.Op == OpGets || r.Op == OpGats)
}

// AppendValue appends the reply to a hit whose value is at hand.
func AppendValue(dst []byte, r *Request, value []byte, it *Item) []byte {
	dst, mark := BeginValue(dst, r)
	return EndValue(append(dst, value...), mark, r, it)
}

// WithValue tells whether the reply to a hit has the item's value.
func WithValue(r *Request, it *Item) bool {
	return r.Proto != Meta || !r.NoValue && !(r.Compare && r.CAS == it.CAS)
}

// AppendHead appends what stands before a value of size bytes in the reply to a hit:
// all of the reply where that is without its value. Otherwise the value follows, and
// AppendTail.
func AppendHead(dst []byte, r *Request, it *Item, size int) []byte {
	switch r.Proto {
	case Meta:
		return appendMetaHead(dst, r, it, size)
	case Binary:
		dst, mark := beginBinary(dst, r)
		return headBinary(dst, mark, it, size)
	}
	dst = append(append(dst, "VALUE "...), r.Key...)
	return appendTextHead(dst, it.Flags, size, it.CAS, r.Op == OpGets || r.Op == OpGats)
}

// AppendTail appends what stands behind a value.
func AppendTail(dst []byte, r *Request) []byte {
	if r.Proto == Binary {
		return dst
	}
	return append(dst, '\r', '\n')
}

// AppendResult appends the reply to anything but a hit.
func AppendResult(dst []byte, r *Request, res *Result) []byte {
	switch r.Proto {
	case Meta:
		return appendMeta(dst, r, res)
	case Binary:
		return appendBinary(dst, r, res)
	}
	if res.Outcome == Stored && (r.Op == OpIncr || r.Op == OpDecr) {
		return AppendNumber(dst, res.Number)
	}
	return append(dst, res.Outcome.Line()...)
}

// AppendOutcome is AppendResult for an outcome that says it all.
func AppendOutcome(dst []byte, r *Request, o Outcome) []byte {
	return AppendResult(dst, r, &Result{Outcome: o})
}

// AppendClientError refuses r for a reason that is the client's.
func AppendClientError(dst []byte, r *Request, why string) []byte {
	if r.Proto == Binary {
		return AppendStatus(dst, r, StatusInvalidArguments, why)
	}
	return appendLine(dst, "CLIENT_ERROR ", why)
}

// AppendServerError refuses r for a reason that is the server's.
func AppendServerError(dst []byte, r *Request, why string) []byte {
	if r.Proto == Binary {
		return AppendStatus(dst, r, StatusInternalError, why)
	}
	return appendLine(dst, "SERVER_ERROR ", why)
}

// AppendStat appends one statistic; AppendStatEnd ends the list.
func AppendStat(dst []byte, r *Request, name, value string) []byte {
	if r.Proto == Binary {
		return appendBinaryStat(dst, r, name, value)
	}
	dst = append(dst, "STAT "...)
	dst = append(dst, name...)
	return appendLine(dst, " ", value)
}

// AppendStatEnd ends a list of statistics.
func AppendStatEnd(dst []byte, r *Request) []byte {
	if r.Proto == Binary {
		return appendBinaryStat(dst, r, "", "")
	}
	return append(dst, End...)
}

// AppendVersion appends the reply to version.
func AppendVersion(dst []byte, r *Request, version string) []byte {
	if r.Proto == Binary {
		return AppendStatus(dst, r, StatusOK, version)
	}
	return appendLine(dst, "VERSION ", version)
}
