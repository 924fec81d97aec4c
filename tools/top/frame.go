package top

import (
	"fmt"
	"strings"

	"charm.land/lipgloss/v2"
)

// Widths of a frame, in cells.
const (
	leastWidth = 40
	mostWidth  = 120
)

// Frame draws what happened between two answers to stats of the server at addr,
// with colours, for a terminal that is width cells wide. gets are the gets a second
// of some time up to now.
func Frame(addr string, before, now *Sample, gets []float64, width int) string {
	width = min(max(width, leastWidth), mostWidth)
	p := span{before, now}
	sections := []string{head(addr, now), traffic(p, gets, width), hits(p, width), memory(now, width)}
	if now.has("hearth_io_engine") {
		sections = append(sections, flash(p, width), movement(p, width))
	}
	narrow := lipgloss.NewStyle().MaxWidth(width)
	return narrow.Render(strings.Join(sections, "\n\n")) + "\n"
}

func section(title string, lines ...string) string {
	return titleStyle.Render(title) + "\n" + strings.Join(lines, "\n")
}

func head(addr string, now *Sample) string {
	return titleStyle.Render(addr) + "  " + now.Stats["version"] + nameStyle.Render("  up ") + uptime(now.number("uptime"))
}

func traffic(p span, gets []float64, width int) string {
	return section("gets/s  "+count(p.rate("cmd_get")), spark(gets, width), figures(width,
		"sets/s", count(p.rate("cmd_set")),
		"in/s", size(p.rate("bytes_read")), "out/s", size(p.rate("bytes_written")),
		"connections", count(p.now.number("curr_connections")), "items", count(p.now.number("curr_items")),
		"evictions/s", count(p.rate("evictions")), "expired/s", count(p.rate("reclaimed")),
	))
}

// hits are those of each tier where there are several. What was not missed was hit:
// so the parts are those of one sum.
func hits(p span, width int) string {
	if !p.now.has("hearth_hits_ram") {
		s := p.shares("get_hits", "get_misses")
		return section("hits", bar(width, part{s[0], "hits " + percent(s[0])}), figures(width, "misses", percent(s[1])))
	}
	s := p.shares("hearth_hits_ram", "hearth_hits_hot", "hearth_hits_flash", "get_misses")
	return section("hits  "+percent(s[0]+s[1]+s[2]),
		bar(width, part{s[0], "RAM " + percent(s[0])}, part{s[1], "hot " + percent(s[1])}, part{s[2], "flash " + percent(s[2])}),
		figures(width, "absent/s", count(p.rate("hearth_misses_absent")), "expired/s", count(p.rate("hearth_misses_expired")),
			"evicted/s", count(p.rate("hearth_misses_evicted")), "bad/s", alarm(p.rate("hearth_misses_bad_record"))))
}

// alarm is a number that should be 0.
func alarm(v float64) string {
	if v == 0 {
		return "0"
	}
	return alarmStyle.Render(count(v))
}

// memory says where -m goes.
func memory(now *Sample, width int) string {
	if !now.has("hearth_mem_limit") {
		used, limit := now.number("bytes"), now.number("limit_maxbytes")
		return section("memory  "+size(limit), bar(width, part{used / max(limit, 1), "items " + size(used)}))
	}
	limit := now.number("hearth_mem_limit")
	piece := func(label string, names ...string) part {
		bytes := 0.0
		for _, name := range names {
			bytes += now.number("hearth_mem_" + name)
		}
		return part{bytes / max(limit, 1), label + " " + size(bytes)}
	}
	return section("memory  "+size(limit), bar(width, piece("index", "index"), piece("segments", "segments"), piece("hot", "hot"),
		piece("buffers", "write_buffers", "read_buffers"), piece("catalog", "catalog", "journal")))
}

func flash(p span, width int) string {
	used, free := p.now.number("extstore_pages_used"), p.now.number("extstore_pages_free")
	n := p.now.number
	return section(fmt.Sprintf("flash  %s, %s", size(n("extstore_limit_maxbytes")), p.now.Stats["hearth_io_engine"]),
		bar(width, part{used / max(used+free, 1), fmt.Sprintf("%.0f pages used, %.0f free", used, free)}),
		figures(width,
			"read p50", latency(n("hearth_flash_read_us_p50")), "p99", latency(n("hearth_flash_read_us_p99")),
			"p99.9", latency(n("hearth_flash_read_us_p999")), "in flight", count(n("extstore_io_queue")),
			"reads/s", count(p.rate("extstore_objects_read")), "written/s", size(p.rate("hearth_flash_written")),
			"amplification", p.now.Stats["hearth_write_amplification"], "items", count(n("hearth_flash_items")),
			"failed reads/s", alarm(p.rates("hearth_flash_reads_failed", "hearth_flash_reads_bad_crc")),
			"write errors/s", alarm(p.rate("hearth_flash_write_errors")),
			"retired pages", alarm(n("hearth_flash_pages_retired")),
		))
}

// movement is what the tiers exchange, and whether sets have to wait for it.
func movement(p span, width int) string {
	return section("between RAM and flash", figures(width,
		"demoted/s", count(p.rate("hearth_demoted")), "promoted/s", count(p.rate("recache_from_extstore")),
		"rescued/s", count(p.rate("extstore_compact_rescues")), "pages reclaimed/s", fmt.Sprintf("%.1f", p.rate("extstore_page_reclaims")),
		"sets held up/s", count(p.rate("hearth_backpressured")), "held up", percent(p.rate("hearth_backpressure_us")/1e6),
		"journal", size(p.now.number("hearth_journal_used")),
	))
}
