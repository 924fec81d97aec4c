package protocol

func beginMeta(dst []byte, r *Request) (out []byte, mark int) { return dst, len(dst) }

func endMeta(dst []byte, mark int, r *Request, it *Item) []byte { return dst[:mark] }

func appendMeta(dst []byte, r *Request, res *Result) []byte {
	return append(dst, res.Outcome.Line()...)
}
