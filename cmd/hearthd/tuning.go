package main

import (
	"math"
	"strconv"
	"time"

	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/protocol"
)

// What is set by lru, slabs and extstore is reported by stats settings. Of those,
// extstore item_size, item_age, admit, write_mbps and what is of hearth.Reclaim have an
// effect.

func (h *admin) report(name, value string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.config.Reported[name] = value
	return protocol.OK
}

func (h *admin) reported(name string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.config.Reported[name]
}

// lru answers the lru command.
func (h *admin) lru(args []string) string {
	if len(args) < 2 {
		return protocol.Error
	}
	segmented := h.reported("lru_maintainer_thread") == "yes"
	switch {
	case args[0] == "tune" && len(args) >= 5:
		return h.lruTune(args[1:])
	case args[0] == "mode" && segmented && args[1] == "flat":
		return h.report("lru_segmented", "no")
	case args[0] == "mode" && segmented && args[1] == "segmented":
		return h.report("lru_segmented", "yes")
	case args[0] == "temp_ttl" && segmented:
		return h.lruTempTTL(args[1])
	}
	return protocol.Error
}

func (h *admin) lruTune(args []string) string {
	hot, hotOK := number32(args[0])
	warm, warmOK := number32(args[1])
	hotAge, hotAgeOK := real(args[2])
	warmAge, warmAgeOK := real(args[3])
	switch {
	case !hotOK || !warmOK || !hotAgeOK || !warmAgeOK:
		return protocol.Error
	case hot+warm > 80:
		return "ERROR hot and warm pcts must not exceed 80\r\n"
	case hotAge <= 0 || warmAge <= 0:
		return "ERROR hot/warm age factors must be greater than 0\r\n"
	}
	h.report("hot_lru_pct", strconv.FormatUint(hot, 10))
	h.report("warm_lru_pct", strconv.FormatUint(warm, 10))
	h.report("hot_max_factor", decimals(hotAge, 2))
	return h.report("warm_max_factor", decimals(warmAge, 2))
}

func (h *admin) lruTempTTL(word string) string {
	ttl, err := strconv.ParseInt(word, 10, 32)
	switch {
	case err != nil:
		return protocol.Error
	case ttl < 0:
		return h.report("temp_lru", "no")
	}
	h.report("temporary_ttl", word)
	return h.report("temp_lru", "yes")
}

// classes is how many classes memcached's command know, class 0 included.
const classes = 64

// slabs answers the slabs command: there are no pages of memory that could move
// between classes.
func (h *admin) slabs(args []string) string {
	switch {
	case len(args) == 3 && args[0] == "reassign":
		return h.slabsReassign(args[1], args[2])
	case len(args) >= 2 && args[0] == "automove":
		return h.slabsAutomove(args[1:])
	}
	return protocol.Error
}

func (h *admin) slabsReassign(from, to string) string {
	a, errA := strconv.ParseInt(from, 10, 32)
	b, errB := strconv.ParseInt(to, 10, 32)
	switch {
	case h.reported("slab_reassign") == "no":
		return "CLIENT_ERROR slab reassignment disabled\r\n"
	case errA != nil || errB != nil:
		return protocol.BadFormat
	case a == b:
		return "SAME src and dst class are identical\r\n"
	case a < 0 || a >= classes || b < 0 || b >= classes:
		return "BADCLASS invalid src or dst class id\r\n"
	}
	return "NOSPARE source class has no spare pages\r\n"
}

func (h *admin) slabsAutomove(args []string) string {
	var value string
	if len(args) > 1 {
		value = args[1]
	}
	switch args[0] {
	case "ratio":
		return h.reportReal("slab_automove_ratio", value, 2)
	case "freeratio":
		return h.reportReal("slab_automove_freeratio", value, 3)
	case "window":
		if _, ok := number32(value); !ok {
			return protocol.BadFormat
		}
		return h.report("slab_automove_window", value)
	}
	level, ok := number32(args[0])
	switch {
	case !ok:
		return protocol.BadFormat
	case level > 2:
		return protocol.Error
	}
	return h.report("slab_automove", args[0])
}

// extstore answers the extstore command.
func (h *admin) extstore(args []string) string {
	if len(args) < 2 {
		return protocol.Error
	}
	name, value := args[0], args[1]
	n, ok := number32(value)
	switch name {
	case "admit":
		return h.setAdmit(value)
	case "write_mbps":
		return h.setWriteLimit(value)
	case "max_frag":
		x, ok := real(value)
		if !ok || x <= 0 { // 0 is the default of a hearth.Reclaim
			return protocol.Error
		}
		return h.setReclaim(func(o *hearth.Reclaim) { o.MaxFrag = x })
	case "free_memchunks": // memcached takes and ignores it, too
		ok = ok && n < classes && len(args) > 2
	}
	if !ok {
		return protocol.Error
	}
	switch name {
	case "item_size":
		h.setMinFlashItem(int(n))
	case "item_age":
		h.setFlashAge(n)
	case "recache_rate", "max_sleep":
		h.report("ext_"+name, value)
	case "low_ttl", "compact_under", "drop_under", "drop_unread", "rescue_percent":
		return h.setReclaim(func(o *hearth.Reclaim) { tuneReclaim(o, name, int(n)) })
	case "free_memchunks":
	default:
		return protocol.Error
	}
	return protocol.OK
}

// tuneReclaim changes the setting called name.
func tuneReclaim(o *hearth.Reclaim, name string, n int) {
	switch name {
	case "low_ttl":
		o.LowTTL = time.Duration(n) * time.Second
	case "compact_under":
		o.FreePages = n
	case "drop_under":
		o.DropUnder = n
	case "drop_unread":
		o.RescueUnread = n == 0
	case "rescue_percent":
		if o.RescuePercent = n; n == 0 {
			o.RescuePercent = -1
		}
	}
}

func (h *admin) setReclaim(change func(o *hearth.Reclaim)) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := h.config.Reclaim
	change(&o)
	if h.cache.SetReclaim(o) != nil {
		return protocol.Error
	}
	h.config.Reclaim = o
	return protocol.OK
}

func (h *admin) setMinFlashItem(bytes int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.config.MinFlashItem = bytes
	h.cache.SetMinFlashItem(bytes)
}

func (h *admin) setAdmit(policy string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cache.SetAdmit(policy) != nil {
		return protocol.Error
	}
	h.config.Admit = policy
	return protocol.OK
}

func (h *admin) setWriteLimit(value string) string {
	bytes, err := writeLimit(value)
	if err != nil {
		return protocol.Error
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.config.WriteLimit = bytes
	h.cache.SetWriteLimit(bytes)
	return protocol.OK
}

// setFlashAge takes the age in seconds; the largest means never.
func (h *admin) setFlashAge(seconds uint64) {
	age := time.Duration(0)
	if seconds < math.MaxUint32 {
		age = time.Duration(max(seconds, 1)) * time.Second
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.config.FlashAge = age
	h.cache.SetFlashAge(age)
}

func (h *admin) reportReal(name, value string, digits int) string {
	x, ok := real(value)
	if !ok {
		return protocol.Error
	}
	return h.report(name, decimals(x, digits))
}

func number32(word string) (uint64, bool) {
	n, err := strconv.ParseUint(word, 10, 32)
	return n, err == nil
}

func real(word string) (float64, bool) {
	x, err := strconv.ParseFloat(word, 64)
	return x, err == nil && !math.IsNaN(x)
}

func decimals(x float64, digits int) string { return strconv.FormatFloat(x, 'f', digits, 64) }
