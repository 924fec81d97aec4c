package dump

import (
	"bufio"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/client"
)

// busy is a server that lists its key only when it is asked for the third time.
func busy(t *testing.T) *client.Client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for asked := 0; ; {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := bufio.NewReader(nc).ReadString('\n'); err == nil {
				asked++
			}
			if asked < 3 {
				nc.Write([]byte("BUSY currently processing crawler request\r\n"))
			} else {
				nc.Write([]byte("mg key\r\nEN\r\n"))
			}
			nc.Close()
		}
	}()
	c, err := client.New(l.Addr().String(), client.Options{Protocol: protocol.Meta, Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestBusySource: a server that makes another list is asked again, but not for ever;
// and what is no whole list has no name.
func TestBusySource(t *testing.T) {
	source, path := busy(t), filepath.Join(t.TempDir(), "keys")
	if err := makeKeyList(within(t), source, path, fileID{}, 0); !errors.Is(err, client.ErrBusy) {
		t.Errorf("without patience: %v", err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 0 {
		t.Errorf("there are %v, %v", left, err)
	}
	if err := makeKeyList(within(t), source, path, fileID{}, patience); err != nil {
		t.Fatal(err)
	}
	list, err := openKeyList(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer list.file.Close()
	if key, err := list.next(); key != "key" || list.total != 1 || err != nil {
		t.Errorf("%q of %d keys, %v", key, list.total, err)
	}
}
