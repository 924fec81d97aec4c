package main

import (
	"fmt"
	"net"
	"strings"

	"github.com/hearthcache/hearth/protocol/server"
)

// conns is a line for each property of each socket.
func (h *admin) conns() []stat {
	var stats []stat
	for _, c := range h.stats.server.Conns() {
		line := func(name string, value any) { stats = append(stats, gauge(fmt.Sprintf("%d:%s", c.FD, name), value)) }
		line("addr", connAddr(c.Remote))
		if c.State != server.ConnListening {
			line("listen_addr", connAddr(c.Listen))
		}
		line("state", c.State)
		line("secs_since_last_cmd", int(c.Idle.Seconds()))
	}
	return stats
}

// connAddr writes an address as memcached does.
func connAddr(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	switch {
	case !ok:
		return "unix:" + strings.TrimPrefix(a.String(), "@")
	case tcp.IP.To4() == nil:
		return fmt.Sprintf("tcp6:[%s]:%d", tcp.IP, tcp.Port)
	}
	return fmt.Sprintf("tcp:%s:%d", tcp.IP, tcp.Port)
}
