package watch

import "net"

// ConnOpened logs a new connection. fd is its descriptor.
func (l *Log) ConnOpened(remote net.Addr, fd int) {
	var space [lineSpace]byte
	b := appendPeer(l.begin(space[:0], "conn_new"), remote)
	l.publish(ConnEvents, appendInt(b, " cfd=", int64(fd)))
}

// ConnClosed logs the end of a connection. The reason is normal, error,
// idle_timeout or shutdown.
func (l *Log) ConnClosed(remote net.Addr, fd int, reason string) {
	var space [lineSpace]byte
	b := appendPeer(l.begin(space[:0], "conn_close"), remote)
	b = appendWord(b, " reason=", reason)
	l.publish(ConnEvents, appendInt(b, " cfd=", int64(fd)))
}

func appendPeer(b []byte, remote net.Addr) []byte {
	if tcp, ok := remote.(*net.TCPAddr); ok {
		b = appendWord(b, " rip=", tcp.IP.String())
		b = appendInt(b, " rport=", int64(tcp.Port))
		return append(b, " transport=tcp"...)
	}
	return append(b, " rip=unix rport=0 transport=local"...)
}
