package flashtier

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hearthcache/hearth/ioq/ioqtest"
)

// nameRecords names n records of 96 bytes, in pages of which only the header is
// written, and lets one in ten die.
func nameRecords(b *testing.B, tier *Tier, disk *ioqtest.Disk, n int) {
	b.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	const size = 96
	for id := PageID(0); n > 0; id++ {
		p := &tier.pages[id]
		r := row{version: 1, format: FormatVersion, live: true}
		header := make([]byte, blockSize)
		EncodeHeader(header, PageHeader{ID: id, Version: 1, Size: tier.pageSize})
		if err := tier.openFile(p); err != nil {
			b.Fatal(err)
		}
		disk.Overwrite(tier.path(id), 0, header)
		var blobs []*blob
		dead := []change{}
		for start := int64(blockSize); n > 0; {
			count := min(n, (4<<20-blockSize)/(size+hashSize+1))
			e := Extent{Start: uint32(start), Index: uint32(start) + uint32(count*size), Count: uint32(count)}
			if !e.valid(start, dataEnd(tier.pageSize)) {
				break
			}
			x := &blob{page: p, version: 1, extent: e, seq: tier.seq.Add(1)}
			for i := range count {
				x.entries = append(x.entries, blobEntry{rng.Uint64(), e.Start/unit + uint32(i*size/unit), 0, ClassFor(size)})
				if rng.IntN(10) == 0 {
					dead = append(dead, change{unit: x.entries[i].unit, kind: changeDead})
				}
			}
			r.extents = append(r.extents, named{x.seq, e, uint32(count)})
			blobs = append(blobs, x)
			start, n = e.leastEnd(), n-count
		}
		err := tier.catalog.write(func(batch *pebble.Batch, _ *state) error {
			key := pageKey(keyRow, id)
			batch.Set(key, r.encode(key), nil)
			for _, x := range blobs {
				x.put(batch)
			}
			return batch.Merge(lifeKey(keyDead, id, 1), encodeDead(dead), nil)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRecover recovers 10 million records, of which a tenth is dead.
func BenchmarkRecover(b *testing.B) {
	const records = 10_000_000
	disk := ioqtest.NewDisk(b, ioqtest.DiskOptions{})
	o := realOptions(b, 2)
	o.Queue, o.PageSize, o.BufferSize, o.Size = disk, 64<<20, 4<<20, 64<<26
	tier, err := Open(o)
	if err != nil {
		b.Fatal(err)
	}
	nameRecords(b, tier, disk, records)
	stop(b, tier, true)
	for b.Loop() {
		if tier, err = Open(o); err != nil {
			b.Fatal(err)
		}
		var n, sum atomic.Uint64
		r, err := tier.Recover(2, func(part []Entry) {
			h := uint64(0)
			for _, e := range part {
				h += e.Hash
			}
			n.Add(uint64(len(part)))
			sum.Add(h)
		})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(r.Items+r.Dead)/r.Duration.Seconds()/1e6, "Mrecords/s")
		b.ReportMetric(float64(n.Load()), "alive")
		stop(b, tier, true)
	}
}
