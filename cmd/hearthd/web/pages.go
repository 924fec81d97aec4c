package web

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"

	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/flashtier"
)

// shades are how many shares of a page's life the map tells apart.
const shades = 16

// cells is the page map, in as few bytes as there are pages: an event with all fields
// of each would keep a browser busy for longer than a frame. A sealed page has a
// letter, from a if next to nothing in it is live to p if all is; any other the digit
// of its state.
func cells(pages []flashtier.PageStat, pageSize int64) string {
	b := make([]byte, len(pages))
	for i := range pages {
		switch p := &pages[i]; p.State {
		case flashtier.PageSealed:
			b[i] = 'a' + byte(math.Round((shades-1)*float64(p.Bytes)/float64(pageSize)))
		default:
			b[i] = '0' + byte(p.State)
		}
	}
	return string(b)
}

// pageInfo is what /page tells of a page. Of a free one it has no more than the first
// four.
type pageInfo struct {
	ID      flashtier.PageID `json:"id"`
	State   string           `json:"state"`
	File    string           `json:"file"` // where it is
	Faults  int              `json:"faults"`
	Version uint32           `json:"version,omitempty"`
	Bucket  string           `json:"bucket,omitempty"`
	Created uint32           `json:"created,omitempty"` // Unix seconds
	Objects int64            `json:"objects"`           // live records
	Bytes   int64            `json:"bytes"`             // the same
}

// page tells of the page that id in the query says, for a click on the map.
func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	now := s.look(true)
	id, err := strconv.Atoi(r.FormValue("id"))
	if err != nil || id < 0 || id >= len(now.pages) {
		http.Error(w, "no such page", http.StatusNotFound)
		return
	}
	p := &now.pages[id]
	info := pageInfo{ID: p.ID, State: p.State.String(), File: fileOf(now.devices, p.ID), Faults: p.Faults}
	if p.State != flashtier.PageFree {
		info.Version, info.Created, info.Bucket = p.Version, p.Created, flashtier.BucketName(uint32(p.Bucket))
		info.Objects, info.Bytes = p.Objects, p.Bytes
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(info) // or the client is gone
}

// fileOf is the file of a page, which is one of the last device that begins at or
// before it.
func fileOf(devices []hearth.DeviceStats, id flashtier.PageID) (path string) {
	for i := range devices {
		if d := &devices[i]; d.State != hearth.DeviceAbsent && id >= d.FirstPage {
			path = flashtier.PagePath(d.Dir, id-d.FirstPage)
		}
	}
	return path
}
