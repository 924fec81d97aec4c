// Hearthd is a cache server that speaks memcached's protocol and keeps what
// does not fit into RAM on flash. It takes memcached's flags; see docs/flags.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/cmd/hearthd/execute"
	"github.com/hearthcache/hearth/cmd/hearthd/watch"
	"github.com/hearthcache/hearth/protocol/server"
)

// version is what the version command and stats answer.
const version = "1.6.45-hearth-0.1.0"

// leastDrain is how long a stop waits for clients to take their replies, unless
// -o shutdown_timeout is more.
const leastDrain = 5 * time.Second

func main() {
	config, err := parseArgs(os.Args[1:], os.Stderr, os.Getenv)
	if err != nil {
		fmt.Fprintf(os.Stderr, "hearthd: %v\n", err)
		os.Exit(exitCode(err))
	}
	if config.Show != "" {
		fmt.Print(texts[config.Show]())
		return
	}
	if err := run(&config); err != nil {
		fmt.Fprintf(os.Stderr, "hearthd: %v\n", err)
		os.Exit(exitFailure)
	}
}

// run serves until it is told to stop.
func run(c *Config) error {
	if c.Daemon && os.Getenv(daemonMark) == "" {
		return detach()
	}
	level := new(slog.LevelVar)
	level.Set(logLevel(c.Verbosity))
	log := newLog(os.Stderr, c.LogFormat, level)
	told, forget := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1)
	defer forget()
	stopped, stop := context.WithCancel(told)
	defer stop()
	secrets, err := loadSecrets(c, log)
	if err != nil {
		return err
	}
	bound, err := bindPrivileged(c)
	if err != nil {
		return err
	}
	site, err := serveHTTP(c, &secrets, log)
	if err != nil {
		return err
	}
	defer site.Close()
	if err := dropRoot(c, log); err != nil {
		return err
	}
	secrets.refreshAtHangup(stopped, log)
	go paceHeap(stopped, c.Memory)
	events := watch.New(c.WatchBuffer)
	options := c.cacheOptions(log)
	options.Observer, options.Progress = cacheEvents{events}, site.Recovering
	cache, err := hearth.Open("", options)
	if err != nil {
		return err
	}
	// From the first signal on a second one ends the process: the default.
	context.AfterFunc(told, forget)
	a := &admin{
		cache: cache, config: c, stop: stop, level: level, stats: statistics{started: time.Now()},
		watch: events, prefixes: newPrefixes(c.PrefixDelimiter, c.PrefixStats), crawler: newCrawler(),
		secrets: &secrets, site: site,
	}
	err = serve(a, bound, stopped, log)
	a.crawler.stop()
	site.Stopping()
	return errors.Join(err, cache.Close())
}

// serve runs the connections until stopped is done, and then lets them finish.
func serve(a *admin, bound listeners, stopped context.Context, log *slog.Logger) error {
	c := a.config
	a.tap.Told = a.told
	a.retap()
	h := execute.New(a.cache, execute.Options{NoCAS: c.NoCAS, NoFlushAll: c.NoFlushAll, Version: version, Admin: a.do, Tap: &a.tap})
	s, err := server.New(h, server.Options{
		Loops: c.Threads, MaxValue: c.MaxItem, MaxConns: c.Connections,
		Requests: c.RequestsPerEvent, Backlog: c.Backlog, IdleTimeout: c.IdleTimeout, Protocols: protocolsOf[c.Protocol],
		Opened: a.connOpened, Closed: a.connClosed, Logger: log,
		Authenticator: a.secrets.authenticator(), AuthTimeout: c.AuthTimeout, TLSBuffer: c.TLS.WriteBuffer,
	})
	if err != nil {
		return err
	}
	a.stats.server, a.stats.handler = s, h
	addrs, err := listen(s, c, bound, a.secrets.certs.server())
	if err == nil {
		err = writeFiles(c, addrs)
	}
	if err == nil {
		a.site.Ready(a.cache, s.Stats)
		log.Info("ready", "version", version, "listen", fmt.Sprint(addrs), "memory", c.Memory, "pid", os.Getpid())
		<-stopped.Done()
		log.Info("stopping", "again", "a second signal stops at once, like a crash")
	}
	if c.PidFile != "" {
		defer os.Remove(c.PidFile)
	}
	drain := max(leastDrain, c.ShutdownTimeout)
	patience, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	if s.Shutdown(patience) != nil {
		log.Warn("some clients did not take their replies", "waited", drain)
	}
	return err
}

// protocolsOf is the argument of -B as the server has it.
var protocolsOf = map[string]server.Protocols{
	"auto": server.AnyProtocol, "ascii": server.TextProtocol, "binary": server.BinaryProtocol,
}

// writeFiles writes the pid file and, where a test harness asks for it by
// $MEMCACHED_PORT_FILENAME, the ports in use.
func writeFiles(c *Config, addrs []net.Addr) error {
	if c.PidFile != "" {
		if err := os.WriteFile(c.PidFile, fmt.Appendln(nil, os.Getpid()), 0o644); err != nil {
			return fmt.Errorf("write pid file: %w", err)
		}
	}
	if c.PortFile == "" {
		return nil
	}
	var ports strings.Builder
	for _, a := range addrs {
		if tcp, ok := a.(*net.TCPAddr); ok {
			fmt.Fprintf(&ports, "TCP INET: %d\n", tcp.Port)
		}
	}
	// Renamed into place, so that who waits for the file sees all of it.
	partial := c.PortFile + ".lck"
	if err := os.WriteFile(partial, []byte(ports.String()), 0o644); err != nil {
		return fmt.Errorf("write port file: %w", err)
	}
	return os.Rename(partial, c.PortFile)
}

func (c *Config) cacheOptions(log *slog.Logger) hearth.Options {
	return hearth.Options{
		Memory: c.Memory, MaxItem: c.MaxItem, NoEvictions: c.NoEvictions, MemoryFile: c.MemoryFile,
		Devices: c.Devices, SkipMissing: c.SkipMissing, PageSize: c.PageSize, WriteBuffer: c.WriteBuffer,
		MinFlashItem: c.MinFlashItem, FlashAge: c.FlashAge, Admit: c.Admit, WriteLimit: c.WriteLimit, Reclaim: c.Reclaim,
		IOEngine: c.IOEngine, IOThreads: c.IOThreads, IODepth: c.IODepth,
		HotPercent: c.HotPercent, Backpressure: c.Backpressure, Logger: log,
		ShutdownTimeout: c.ShutdownTimeout, JournalSync: c.JournalSync,
		AfterPowerLoss: c.AfterPowerLoss, Recover: c.Recover, AcceptStale: c.AcceptStale, SlowRead: c.SlowRead,
		NoSweep: c.Reported["lru_crawler"] == "no",
	}
}

// newLog writes lines of the format, text or json, from level on.
func newLog(out io.Writer, format string, level slog.Leveler) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(out, o))
	}
	return slog.New(slog.NewTextHandler(out, o))
}

// logLevel is what -v, given that often, logs: more of what the server does.
func logLevel(verbosity int) slog.Level {
	if verbosity > 0 {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}
