package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"

	"github.com/spf13/pflag"
)

// flags are memcached's flags, in the order of its help.
var flags = []setting{
	{short: "p", name: "port", arg: "N", help: "TCP port; 0 is no TCP, -1 any free port (default 11211)",
		set: number(-1, 65535, 1, func(c *Config) *int { return &c.Port })},
	{short: "U", name: "udp-port", arg: "N", help: "UDP port; only 0", set: setUDP},
	{short: "s", name: "unix-socket", arg: "PATH", help: "listen on this Unix socket, and on no network",
		set: text(func(c *Config) *string { return &c.Socket })},
	{short: "a", name: "unix-mask", arg: "MODE", help: "permissions of the Unix socket, in octal (default 700)", set: setMode},
	{short: "A", name: "enable-shutdown", help: "allow the shutdown command",
		set: on(func(c *Config) *bool { return &c.AllowShutdown })},
	{short: "l", name: "listen", arg: "ADDR,...", help: "addresses to listen on: host, host:port, [ip6]:port, each with notls: before it to have no TLS there; may be repeated (default all)", set: setListen},
	{short: "d", name: "daemon", help: "run in the background",
		set: on(func(c *Config) *bool { return &c.Daemon })},
	{short: "r", name: "enable-coredumps", help: "raise the limit of core files", set: report("", ""),
		noEffect: "a crash prints all goroutines; GOTRACEBACK=crash and ulimit -c make it leave a core file"},
	{short: "u", name: "user", arg: "NAME", help: "user to run as, when started by root",
		set: text(func(c *Config) *string { return &c.User })},
	{short: "m", name: "memory-limit", arg: "MB", help: "memory of the cache, index and buffers included (default 64, at least 8)", set: setMemory},
	{short: "M", name: "disable-evictions", help: "answer an error when memory is full instead of evicting",
		set: on(func(c *Config) *bool { return &c.NoEvictions })},
	{short: "c", name: "conn-limit", arg: "N", help: "most connections at a time (default 1024)",
		set: number(1, unlimited, 1, func(c *Config) *int { return &c.Connections })},
	{short: "k", name: "lock-memory", help: "lock all memory", set: report("", ""),
		noEffect: "most of what is mapped is only reserved, and locking would fill all of it at once"},
	{short: "v", name: "verbose", help: "log more; -vv and -vvv still more", set: func(c *Config, _ string) error {
		c.Verbosity++
		return nil
	}},
	{short: "h", name: "help", help: "print this help", set: show("help")},
	{short: "i", name: "license", help: "print the license", set: show("license")},
	{short: "V", name: "version", help: "print the version", set: show("version")},
	{short: "P", name: "pidfile", arg: "PATH", help: "write the process id to this file",
		set: text(func(c *Config) *string { return &c.PidFile })},
	{short: "f", name: "slab-growth-factor", arg: "X", help: "growth of slab classes", set: reportReal("growth_factor", 1, unlimited, 2),
		noEffect: noSlabs},
	{short: "n", name: "slab-min-size", arg: "N", help: "smallest slab chunk", set: reportWhole("chunk_size", 1, unlimited, 1),
		noEffect: noSlabs},
	{short: "L", name: "enable-largepages", help: "use large memory pages", set: report("", ""),
		noEffect: "transparent huge pages are the kernel's to give, by /sys/kernel/mm/transparent_hugepage"},
	{short: "D", name: "prefix-delimiter", arg: "C", help: "count requests by what stands before C in their keys: see stats detail", set: setDelimiter},
	{short: "t", name: "threads", arg: "N", help: "event loops (default half the processors, 1 to 4)",
		set: number(1, 1024, 1, func(c *Config) *int { return &c.Threads })},
	{short: "R", name: "max-reqs-per-event", arg: "N", help: "requests served of one connection before the next has its turn (default 20)",
		set: number(1, unlimited, 1, func(c *Config) *int { return &c.RequestsPerEvent })},
	{short: "C", name: "disable-cas", help: "no CAS: gets reports 0, and cas never matches",
		set: on(func(c *Config) *bool { return &c.NoCAS })},
	{short: "b", name: "listen-backlog", arg: "N", help: "connections that may wait to be accepted (default 1024)",
		set: number(0, unlimited, 1, func(c *Config) *int { return &c.Backlog })},
	{short: "B", name: "protocol", arg: "NAME", help: "auto, ascii or binary (default auto)", set: oneOf(func(c *Config) *string { return &c.Protocol }, "auto", "ascii", "binary")},
	{short: "I", name: "max-item-size", arg: "SIZE", help: "largest item, in bytes or with k or m: 1k to 128m, at most half of -m (default 1m)", set: setMaxItem},
	{short: "S", name: "enable-sasl", help: "have clients log in by SASL PLAIN, in the binary protocol, which is then the only one: see sasl_pwdb",
		set: on(func(c *Config) *bool { return &c.SASL })},
	{short: "F", name: "disable-flush-all", help: "refuse flush_all",
		set: on(func(c *Config) *bool { return &c.NoFlushAll })},
	{short: "X", name: "disable-dumping", help: "refuse stats cachedump and detail, lru_crawler metadump and mgdump",
		set: on(func(c *Config) *bool { return &c.NoDump })},
	{short: "W", name: "disable-watch", help: "refuse watch",
		set: on(func(c *Config) *bool { return &c.NoWatch })},
	{short: "Y", name: "auth-file", arg: "PATH", help: "have clients log in, in the text protocol, which is then the only one: lines of user:password, up to 8; read again at SIGHUP",
		set: text(func(c *Config) *string { return &c.AuthFile })},
	{short: "e", name: "memory-file", arg: "PATH", help: "without ext_path: leave all items in this file at a graceful stop and take them from it at the next start",
		set: text(func(c *Config) *string { return &c.MemoryFile })},
	{short: "Z", name: "enable-ssl", help: "TLS for TCP: see ssl_chain_cert; certificates are read again at SIGHUP and by refresh_certs",
		set: on(func(c *Config) *bool { return &c.TLS.Enabled })},
	{short: "o", name: "extended", arg: "OPT,...", help: "options, see below; may be repeated", set: setExtended},
	{short: "N", name: "napi-ids", arg: "N", help: "number of NAPI ids", set: reportWhole("num_napi_ids", 1, unlimited, 1),
		noEffect: "connections go to the event loops in turn"},
}

// parseArgs reads a command line, without the program's name. What is taken
// without effect is said on stderr; the error, of one line, is for the caller
// to print, and exitCode for it to exit with.
func parseArgs(args []string, stderr io.Writer, getenv func(string) string) (Config, error) {
	log := slog.New(slog.NewTextHandler(stderr, nil))
	c := defaults()
	c.PortFile = getenv("MEMCACHED_PORT_FILENAME")
	c.SASLFile = getenv("MEMCACHED_SASL_PWDB")
	set := flagSet(&c)
	if err := set.Parse(args); err != nil {
		return Config{}, asUsage(err)
	}
	if c.Show != "" {
		return c, nil
	}
	if set.NArg() > 0 {
		return Config{}, usageError{fmt.Errorf("unexpected argument %q", set.Arg(0))}
	}
	if err := c.settle(); err != nil {
		return Config{}, err
	}
	for _, ignored := range c.NoEffect {
		log.Warn("no effect", "setting", ignored.Setting, "why", ignored.Why)
	}
	return c, nil
}

func flagSet(c *Config) *pflag.FlagSet {
	set := pflag.NewFlagSet("hearthd", pflag.ContinueOnError)
	set.SetOutput(io.Discard)
	for i := range flags {
		flag := &flags[i]
		apply := func(value string) error { return flag.apply(c, "-"+flag.short, value) }
		if flag.arg == "" {
			set.BoolFuncP(flag.name, flag.short, flag.help, apply)
		} else {
			set.FuncP(flag.name, flag.short, flag.help, apply)
		}
	}
	return set
}

// asUsage strips pflag's words from an error about a value, and marks any other
// as one of usage.
func asUsage(err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return usageError{err}
	}
	flag := invalid.GetFlag()
	switch {
	case flag.Name == "extended":
		return invalid.Unwrap()
	case flag.Value.Type() == "boolfunc":
		return fmt.Errorf("-%s: %w", flag.Shorthand, invalid.Unwrap())
	}
	return fmt.Errorf("-%s %s: %w", flag.Shorthand, invalid.GetValue(), invalid.Unwrap())
}

func setUDP(_ *Config, value string) error {
	if n, err := strconv.Atoi(value); err != nil || n != 0 {
		return errors.New("UDP is not supported; use -U 0 or leave it out")
	}
	return nil
}

func setMode(c *Config, value string) error {
	mode, err := strconv.ParseUint(value, 8, 32)
	if err != nil || mode > 0o777 {
		return errors.New("must be an octal number up to 777")
	}
	c.SocketMode = uint32(mode)
	return nil
}

func setDelimiter(c *Config, value string) error {
	if value == "" {
		return errors.New("must not be empty")
	}
	c.PrefixDelimiter, c.PrefixStats = value[:1], true // the first, as in memcached
	return nil
}

func setListen(c *Config, value string) error {
	if c.Hosts != "" {
		value = c.Hosts + "," + value
	} else if value == "" {
		return errors.New("must not be empty")
	}
	c.Hosts = value
	return nil
}

func setMemory(c *Config, value string) error {
	n, err := whole(value, minMemory, maxMemory)
	if err == nil {
		c.Memory = int64(n) * mebibyte
	}
	return err
}

func setMaxItem(c *Config, value string) error {
	n, _, err := size(value, "kmg")
	if err != nil || n < minItem || n > maxItem {
		return errors.New("must be a size from 1k to 128m")
	}
	c.MaxItem = int(n)
	return nil
}
