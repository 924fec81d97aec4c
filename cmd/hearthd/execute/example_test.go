package execute_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"

	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/cmd/hearthd/execute"
	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
)

// A proxy that has a cache of its own answers from it in process: no socket, and
// the bytes are those that hearthd would send. What is on flash is awaited.
func Example() {
	dir, err := os.MkdirTemp("", "execute-example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	cache, err := hearth.Open(dir, hearth.Options{FlashSize: 256 << 20, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		log.Fatal(err)
	}
	defer cache.Close()
	local := server.NewLocal(execute.New(cache, execute.Options{Version: "example"}), server.Options{})
	defer local.Close()
	ctx := context.Background()

	// A request that the proxy has parsed, or made.
	set := &protocol.Request{Op: protocol.OpSet, Key: []byte("who"), Value: []byte("Hearth"), Flags: 5}
	reply, err := local.Do(ctx, set)
	fmt.Printf("%q %v\n", reply, err)

	// Several at once; their replies come in order.
	for _, keys := range []string{"who", "nobody who", "nobody"} {
		local.Start(&protocol.Request{Op: protocol.OpGet, Args: []byte(keys)})
	}
	for local.Len() > 0 {
		reply, err := local.Next(ctx)
		fmt.Printf("%q %v\n", reply, err)
	}

	// Bytes as a client sent them, of any protocol.
	reply, err = local.Execute(ctx, []byte("mg who v f\r\nversion\r\n"))
	fmt.Printf("%q %v\n", reply, err)
	// Output:
	// "STORED\r\n" <nil>
	// "VALUE who 5 6\r\nHearth\r\nEND\r\n" <nil>
	// "VALUE who 5 6\r\nHearth\r\nEND\r\n" <nil>
	// "END\r\n" <nil>
	// "VA 6 f5\r\nHearth\r\nVERSION example\r\n" <nil>
}
