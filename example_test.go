package hearth_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"time"

	"github.com/hearthcache/hearth"
)

// open opens a cache with 64 MiB of RAM and 256 MiB of flash.
func open() (c *hearth.Cache, done func()) {
	dir, err := os.MkdirTemp("", "hearth-example")
	if err != nil {
		log.Fatal(err)
	}
	c, err = hearth.Open(dir, hearth.Options{FlashSize: 256 << 20, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		log.Fatal(err)
	}
	return c, func() {
		if err := errors.Join(c.Close(), os.RemoveAll(dir)); err != nil {
			log.Fatal(err)
		}
	}
}

func Example() {
	cache, done := open()
	defer done()
	ctx := context.Background()

	err := cache.Set(ctx, hearth.Item{Key: "greeting", Value: []byte("hello"), Expires: time.Now().Add(time.Hour)})
	if err != nil {
		log.Fatal(err)
	}
	item, err := cache.Get(ctx, "greeting")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", item.Value)
	_, err = cache.Get(ctx, "absent")
	fmt.Println(errors.Is(err, hearth.ErrNotFound))
	// Output:
	// hello
	// true
}

func ExampleCache_CompareAndSwap() {
	cache, done := open()
	defer done()
	ctx := context.Background()

	if err := cache.Set(ctx, hearth.Item{Key: "k", Value: []byte("old")}); err != nil {
		log.Fatal(err)
	}
	item, err := cache.Get(ctx, "k")
	if err != nil {
		log.Fatal(err)
	}
	other := hearth.Item{Key: "k", Value: []byte("another's")}
	if err := cache.Set(ctx, other); err != nil {
		log.Fatal(err)
	}
	item.Value = []byte("mine")
	fmt.Println(cache.CompareAndSwap(ctx, item))
	// Output: hearth: changed since it was read
}

func ExampleCache_GetMulti() {
	cache, done := open()
	defer done()
	ctx := context.Background()

	for _, key := range []string{"a", "b"} {
		if err := cache.Set(ctx, hearth.Item{Key: key, Value: []byte("value of " + key)}); err != nil {
			log.Fatal(err)
		}
	}
	items, err := cache.GetMulti(ctx, "a", "b", "c")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d items, a is %q\n", len(items), items["a"].Value)
	// Output: 2 items, a is "value of a"
}

func ExampleCache_Incr() {
	cache, done := open()
	defer done()
	ctx := context.Background()

	if err := cache.Add(ctx, hearth.Item{Key: "visits", Value: []byte("41")}); err != nil {
		log.Fatal(err)
	}
	n, err := cache.Incr(ctx, "visits", 1)
	fmt.Println(n, err)
	// Output: 42 <nil>
}
