package main

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hearthcache/hearth"
)

// Config is a command line, understood. Where a field has a counterpart in
// hearth.Options it has its name, unit and meaning.
type Config struct {
	// Show is what to print instead of serving: help, version or license.
	Show string

	// Listen are the TCP addresses; none with -p 0 and with -s.
	Listen     []Address
	Port       int    // -p as given: 0 is no TCP, -1 any port
	Hosts      string // -l as given, several joined by commas
	Socket     string // path of the Unix socket, or empty
	SocketMode uint32 // permissions of the Unix socket
	Backlog    int
	PortFile   string // where to write the ports in use, or empty

	Connections      int
	Threads          int // event loops
	RequestsPerEvent int
	IdleTimeout      time.Duration // 0 is none
	Protocol         string        // auto, ascii or binary

	TLS         TLSConfig
	AuthFile    string // -Y, or empty
	SASL        bool
	SASLFile    string        // passwords for SASL
	AuthTimeout time.Duration // to shake hands by TLS, and to log in

	HTTP     string // address of the http side, or empty
	HTTPAuth string // file of those who may look at it; empty is all

	User      string
	Daemon    bool
	PidFile   string
	Verbosity int

	AllowShutdown bool
	NoFlushAll    bool
	NoWatch       bool
	NoDump        bool
	NoCAS         bool

	PrefixDelimiter string // of stats detail
	PrefixStats     bool   // from the start
	WatchBuffer     int    // bytes a watcher

	Memory      int64
	MaxItem     int
	NoEvictions bool
	MemoryFile  string // empty is none

	Devices      []hearth.Device // none is no flash tier
	SkipMissing  bool
	PageSize     int // 0 leaves it to the cache, as in the fields below
	WriteBuffer  int
	MinFlashItem int
	FlashAge     time.Duration
	Admit        string
	Reclaim      hearth.Reclaim
	WriteLimit   int64
	IOEngine     string
	IOThreads    int
	IODepth      int
	HotPercent   int // -1 is none, 0 is what gives the most hits
	Backpressure time.Duration

	ShutdownTimeout time.Duration
	JournalSync     time.Duration
	AfterPowerLoss  string
	SlowRead        time.Duration
	LogFormat       string // text or json
	Recover         string
	AcceptStale     bool

	// Reported holds, by their names in memcached's "stats settings", the
	// settings that Hearth takes and has no use for.
	Reported map[string]string
	// NoEffect are the settings given that have none.
	NoEffect []Ignored
}

// Address is where to listen.
type Address struct {
	TCP   string // for net.Listen; port 0 means any free port
	NoTLS bool   // clients do not speak TLS there, even with -Z
}

// Ignored is a setting that was taken without effect.
type Ignored struct{ Setting, Why string }

const (
	mebibyte = 1 << 20

	minMemory = 8 // -m, in MiB
	maxMemory = 4 << 20
	minItem   = 1 << 10
	maxItem   = 128 * mebibyte

	fewestPages = 4       // of a device
	maxFlash    = 8 << 40 // bytes of all

	exitFailure = 1
	exitUsage   = 64 // EX_USAGE of sysexits.h, as memcached has it
)

func defaults() Config {
	return Config{
		Port:             11211,
		SocketMode:       0o700,
		Backlog:          1024,
		Connections:      1024,
		Threads:          defaultLoops(),
		RequestsPerEvent: 20,
		Protocol:         "auto",
		TLS:              defaultTLS,
		AuthTimeout:      10 * time.Second,
		PrefixDelimiter:  ":",
		WatchBuffer:      256 << 10,
		Memory:           64 * mebibyte,
		MaxItem:          mebibyte,
		IOEngine:         "auto",
		Admit:            "all",
		Reclaim:          hearth.Reclaim{MaxFrag: 0.8, RescuePercent: 15},
		Backpressure:     time.Second,
		ShutdownTimeout:  30 * time.Second,
		JournalSync:      time.Second,
		AfterPowerLoss:   "warm",
		LogFormat:        "text",
		Recover:          "newest",
		Reported:         reportedDefaults(),
	}
}

// defaultLoops is one event loop for every two processors: the other one is
// busy in the kernel's network code on its behalf. A second loop on two
// processors only adds wake-ups, and costs more CPU a request than it gains.
func defaultLoops() int { return min(max(runtime.NumCPU()/2, 1), 4) }

// usageError is a command line that cannot be read, as opposed to a value that
// cannot be worked with.
type usageError struct{ error }

// Unwrap returns the error within.
func (e usageError) Unwrap() error { return e.error }

// exitCode is what the process ends with when parseArgs returned err.
func exitCode(err error) int {
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailure
}

// settle checks what depends on more than one setting, and derives Listen.
func (c *Config) settle() error {
	if int64(c.MaxItem) > c.Memory/2 {
		return fmt.Errorf("-I %d is more than half of -m %d", c.MaxItem, c.Memory/mebibyte)
	}
	if err := c.settleFlash(); err != nil {
		return err
	}
	if o := c.cacheOptions(nil); o.LeastMemory() > c.Memory {
		return fmt.Errorf("-m %d is too little: with -I %d and -o ext_path=%s it must be %d",
			c.Memory/mebibyte, c.MaxItem, c.paths(), (o.LeastMemory()+mebibyte-1)/mebibyte)
	}
	if c.HTTPAuth != "" && c.HTTP == "" {
		return errors.New("-o http_auth_file needs -o http=ADDR")
	}
	if err := errors.Join(c.settleTLS(), c.settleLogins()); err != nil {
		return err
	}
	if c.Socket != "" {
		return nil
	}
	listen, err := addresses(c.Hosts, c.Port)
	c.Listen = listen
	for _, a := range listen {
		if a.NoTLS && !c.TLS.Enabled {
			return fmt.Errorf("-l notls:%s: without -Z there is no TLS", a.TCP)
		}
	}
	return err
}

// settleLogins has passwords go with the protocol that they are for: memcached's
// are for one each, and what is not protected must not be left open beside it.
func (c *Config) settleLogins() error {
	protocol := c.Protocol
	switch {
	case c.AuthFile != "" && c.SASL:
		return errors.New("-Y is for the text protocol and -S for the binary one: leave one out")
	case c.AuthFile != "":
		protocol = "ascii"
	case c.SASL && c.SASLFile == "":
		return errors.New("-S needs $MEMCACHED_SASL_PWDB or -o sasl_pwdb=PATH")
	case c.SASL:
		protocol = "binary"
	}
	if c.Protocol != "auto" && c.Protocol != protocol {
		return fmt.Errorf("-B %s: passwords are for -B %s only", c.Protocol, protocol)
	}
	c.Protocol = protocol
	return nil
}

func (c *Config) settleFlash() error {
	switch {
	case len(c.Devices) == 0:
		return nil
	case c.MemoryFile != "":
		return fmt.Errorf("-e %s and -o ext_path=%s: a graceful stop moves what is in RAM to ext_path, so leave out -e", c.MemoryFile, c.paths())
	case c.WriteBuffer > 0 && c.MaxItem > c.WriteBuffer:
		return fmt.Errorf("-I %d is more than -o ext_wbuf_size=%d", c.MaxItem, c.WriteBuffer/mebibyte)
	case c.PageSize > 0 && c.WriteBuffer > c.PageSize/2:
		return fmt.Errorf("-o ext_wbuf_size=%d is more than half of ext_page_size=%d",
			c.WriteBuffer/mebibyte, c.PageSize/mebibyte)
	}
	return c.settleDevices()
}

// settleDevices checks what the arguments of ext_path say together.
func (c *Config) settleDevices() error {
	page, sum, holds := int64(max(c.PageSize, mebibyte)), int64(0), false
	for i, d := range c.Devices {
		sum += d.Size
		holds = holds || d.Bucket == "default"
		if d.Size < fewestPages*page {
			return fmt.Errorf("-o ext_path=%s: %d bytes do not hold %d pages of %d", d.Dir, d.Size, fewestPages, page)
		}
		if slices.ContainsFunc(c.Devices[:i], func(o hearth.Device) bool { return filepath.Clean(o.Dir) == filepath.Clean(d.Dir) }) {
			return fmt.Errorf("-o ext_path=%s is given twice", d.Dir)
		}
	}
	switch {
	case sum > maxFlash:
		return fmt.Errorf("-o ext_path: all together are more than %dt", maxFlash>>40)
	case !holds:
		return fmt.Errorf("-o ext_path=%s: none is of bucket default", c.paths())
	}
	return nil
}

// paths names the directories of the flash tier.
func (c *Config) paths() string {
	var dirs []string
	for _, d := range c.Devices {
		dirs = append(dirs, d.Dir)
	}
	return strings.Join(dirs, ",")
}

// addresses turns the argument of -l, with the port of -p where it names none,
// into addresses to listen on.
func addresses(hosts string, port int) (listen []Address, err error) {
	if port == 0 {
		return nil, nil
	}
	fallback := strconv.Itoa(max(port, 0))
	if hosts == "" {
		return []Address{{TCP: net.JoinHostPort("", fallback)}}, nil
	}
	for _, host := range strings.FieldsFunc(hosts, func(r rune) bool { return r == ',' || r == ';' }) {
		name, plain := strings.CutPrefix(host, "notls:")
		address, err := address(name, fallback)
		if err != nil {
			return nil, fmt.Errorf("-l %s: %w", host, err)
		}
		listen = append(listen, Address{address, plain})
	}
	if listen == nil {
		return nil, fmt.Errorf("-l %s: no address", hosts)
	}
	return listen, nil
}

func address(text, fallback string) (string, error) {
	host, port := text, fallback
	switch {
	case strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]"):
		host = text[1 : len(text)-1]
	case strings.HasPrefix(text, "["), strings.Count(text, ":") == 1:
		var err error
		if host, port, err = net.SplitHostPort(text); err != nil {
			return "", errors.New("not an address, host:port or [host]:port")
		}
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return "", fmt.Errorf("port %q is not within 0 and 65535", port)
	}
	if host == "*" {
		host = ""
	} else if !validHost(host) {
		return "", errors.New("not an address")
	}
	return net.JoinHostPort(host, port), nil
}

// validHost tells whether host is an IP address or may be a name. A name whose
// last label is a number would be a mistyped IPv4 address.
func validHost(host string) bool {
	ip, _, _ := strings.Cut(host, "%")
	if net.ParseIP(ip) != nil {
		return true
	}
	if host == "" || strings.ContainsAny(host, ":[]/% \t") {
		return false
	}
	_, err := strconv.Atoi(host[strings.LastIndexByte(host, '.')+1:])
	return err != nil
}
