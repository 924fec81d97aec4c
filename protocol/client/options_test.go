package client_test

import (
	"testing"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/client"
)

func TestOptions(t *testing.T) {
	for _, opts := range []client.Options{
		{Protocol: protocol.Binary + 1}, {Protocol: 255}, {Connections: -1}, {Pipeline: -1}, {MaxValue: -1},
		{Timeout: -1}, {IdleTimeout: -1}, {Password: "x"},
	} {
		_, err := client.New("127.0.0.1:1", opts)
		want(t, "new", err, client.ErrOptions)
	}
}
