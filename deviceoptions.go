package hearth

import (
	"fmt"
	"path/filepath"

	"github.com/hearthcache/hearth/flashtier"
)

// Device is a directory that a share of the flash tier lies in, on a drive of its
// own as a rule. It belongs to one cache alone until Close. A device is known by
// what lies in it: its place among others, and its path, may change from one Open
// to the next.
type Device struct {
	// Dir is created if absent.
	Dir string
	// Size is how many bytes its page files may take, at least four pages.
	Size int64
	// Bucket says which pages go there: "default", the default; "compact",
	// "lowttl", "chunked", "coldcompact" or "old", as memcached has them. Pages
	// of a bucket that has no device, or none with room, go to those of
	// "default", of which there must be one.
	Bucket string
}

// buckets are the numbers of pages' buckets by their names. No page is of
// "chunked".
var buckets = map[string]uint8{
	"": flashtier.BucketDefault, "default": flashtier.BucketDefault, "compact": flashtier.BucketCompact,
	"lowttl": flashtier.BucketLowTTL, "chunked": flashtier.BucketChunked, "coldcompact": flashtier.BucketColdCompact, "old": flashtier.BucketOld,
}

// devices are those of the flash tier, given Open's directory.
func (o *Options) devices(dir string) []Device {
	if len(o.Devices) > 0 {
		return o.Devices
	}
	return []Device{{Dir: dir, Size: o.FlashSize}}
}

// keepPageSize has pages that there are keep their size, where none is asked for:
// flash may grow, and items too, without a cold start.
func (o *Options) keepPageSize(dir string) {
	if o.PageSize != 0 || o.FlashSize == 0 && len(o.Devices) == 0 {
		return
	}
	for _, d := range o.devices(dir) {
		if size := flashtier.PageSizeOf(d.Dir); size > 0 {
			o.PageSize = int(size)
			return
		}
	}
}

// deviceCount is how many devices there are, without flash one.
func (o *Options) deviceCount() int64 { return int64(max(1, len(o.Devices))) }

// smallestDevice is the least size of a device in bytes.
func (o *Options) smallestDevice() int64 {
	least := o.FlashSize
	for _, d := range o.Devices {
		least = min(least, d.Size)
	}
	return least
}

// total is the size of all devices in bytes.
func total(devices []Device) (n int64) {
	for _, d := range devices {
		n += d.Size
	}
	return n
}

// validateDevices tells which device cannot be worked with.
func (o *Options) validateDevices(dir string) error {
	seen, holds := map[string]bool{}, false
	for _, d := range o.devices(dir) {
		bucket, known := buckets[d.Bucket]
		path, err := filepath.Abs(d.Dir)
		switch {
		case d.Dir == "":
			return fmt.Errorf("%w: FlashSize %d needs a directory", ErrOptions, d.Size)
		case err != nil:
			return fmt.Errorf("%w: device %s: %w", ErrOptions, d.Dir, err)
		case seen[path]:
			return fmt.Errorf("%w: device %s is given twice", ErrOptions, d.Dir)
		case d.Size < fewestPages*int64(o.PageSize):
			return fmt.Errorf("%w: FlashSize %d of %s holds fewer than %d pages of %d bytes",
				ErrOptions, d.Size, d.Dir, fewestPages, o.PageSize)
		case !known:
			return fmt.Errorf("%w: device %s: no bucket is called %q", ErrOptions, d.Dir, d.Bucket)
		}
		seen[path], holds = true, holds || bucket == flashtier.BucketDefault
	}
	if !holds {
		return fmt.Errorf("%w: no device is of bucket default", ErrOptions)
	}
	return nil
}
