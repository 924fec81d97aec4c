package main

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"
)

func noEnv(string) string { return "" }

// parse is parseArgs without an environment, with the arguments in one string.
func parse(t *testing.T, line string) (Config, error) {
	t.Helper()
	return parseArgs(strings.Fields(line), t.Output(), noEnv)
}

// tcp are addresses without anything special.
func tcp(addresses ...string) (listen []Address) {
	for _, a := range addresses {
		listen = append(listen, Address{TCP: a})
	}
	return listen
}

func TestDefaults(t *testing.T) {
	got, err := parse(t, "")
	if err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.Listen = tcp(":11211")
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestFlags(t *testing.T) {
	for _, test := range []struct {
		line string
		want func(*Config)
	}{
		{"-p 1234", func(c *Config) { c.Port, c.Listen = 1234, tcp(":1234") }},
		{"-p1234", func(c *Config) { c.Port, c.Listen = 1234, tcp(":1234") }},
		{"--port=1234", func(c *Config) { c.Port, c.Listen = 1234, tcp(":1234") }},
		{"--port 1234 -U 0", func(c *Config) { c.Port, c.Listen = 1234, tcp(":1234") }},
		{"-p -1", func(c *Config) { c.Port, c.Listen = -1, tcp(":0") }},
		{"-p 0", func(c *Config) { c.Port, c.Listen = 0, nil }},
		{"-p 0 -l 127.0.0.1", func(c *Config) { c.Port, c.Hosts, c.Listen = 0, "127.0.0.1", nil }},
		{"-U 0", func(*Config) {}},
		{"-U0 --udp-port=0", func(*Config) {}},
		{"-p 1 -l 127.0.0.1", func(c *Config) { c.Port, c.Hosts, c.Listen = 1, "127.0.0.1", tcp("127.0.0.1:1") }},
		{"-l 127.0.0.1:5,[::1]:6 -l [::1],::1,localhost,*", func(c *Config) {
			c.Hosts = "127.0.0.1:5,[::1]:6,[::1],::1,localhost,*"
			c.Listen = tcp("127.0.0.1:5", "[::1]:6", "[::1]:11211", "[::1]:11211", "localhost:11211", ":11211")
		}},
		{"-Z -o ssl_chain_cert=/c --listen=notls:127.0.0.1:0;*:7", func(c *Config) {
			c.TLS.Enabled, c.TLS.ChainCert = true, "/c"
			c.Hosts, c.Listen = "notls:127.0.0.1:0;*:7", []Address{{"127.0.0.1:0", true}, {":7", false}}
		}},
		{"-Y /pw", func(c *Config) { c.AuthFile, c.Protocol = "/pw", "ascii" }},
		{"-Y /pw -B ascii", func(c *Config) { c.AuthFile, c.Protocol = "/pw", "ascii" }},
		{"-S -o sasl_pwdb=/db,auth_timeout=3", func(c *Config) {
			c.SASL, c.SASLFile, c.Protocol, c.AuthTimeout = true, "/db", "binary", 3*time.Second
		}},
		{"-l fe80::1%lo", func(c *Config) { c.Hosts, c.Listen = "fe80::1%lo", tcp("[fe80::1%lo]:11211") }},
		{"-s /tmp/sock -a 777", func(c *Config) { c.Socket, c.SocketMode, c.Listen = "/tmp/sock", 0o777, nil }},
		{"-m64", func(*Config) {}},
		{"-m 1024", func(c *Config) { c.Memory = 1 << 30 }},
		{"-m1024", func(c *Config) { c.Memory = 1 << 30 }},
		{"-m=1024", func(c *Config) { c.Memory = 1 << 30 }},
		{"--memory-limit=1024", func(c *Config) { c.Memory = 1 << 30 }},
		{"-e /dev/shm/x", func(c *Config) { c.MemoryFile = "/dev/shm/x" }},
		{"-M -A -F -C -d", func(c *Config) {
			c.NoEvictions, c.AllowShutdown, c.NoFlushAll, c.NoCAS, c.Daemon = true, true, true, true, true
		}},
		{"-MAFC", func(c *Config) { c.NoEvictions, c.AllowShutdown, c.NoFlushAll, c.NoCAS = true, true, true, true }},
		{"-c 7 -t 2 -R 30 -b 99", func(c *Config) {
			c.Connections, c.Threads, c.RequestsPerEvent, c.Backlog = 7, 2, 30, 99
		}},
		{"-v", func(c *Config) { c.Verbosity = 1 }},
		{"-vv", func(c *Config) { c.Verbosity = 2 }},
		{"-vvv", func(c *Config) { c.Verbosity = 3 }},
		{"-v --verbose", func(c *Config) { c.Verbosity = 2 }},
		{"-vvm 100", func(c *Config) { c.Verbosity, c.Memory = 2, 100<<20 }},
		{"-u nobody -P /tmp/pid", func(c *Config) { c.User, c.PidFile = "nobody", "/tmp/pid" }},
		{"-B ascii", func(c *Config) { c.Protocol = "ascii" }},
		{"-B binary", func(c *Config) { c.Protocol = "binary" }},
		{"-W -X", func(c *Config) { c.NoWatch, c.NoDump = true, true }},
		{"-D | -o watcher_logbuf_size=64", func(c *Config) { c.PrefixDelimiter, c.PrefixStats, c.WatchBuffer = "|", true, 64<<10 }},
		{"-B auto", func(*Config) {}},
		{"-I 1024", func(c *Config) { c.MaxItem = 1024 }},
		{"-I 512k", func(c *Config) { c.MaxItem = 512 << 10 }},
		{"-I 32m -m 64", func(c *Config) { c.MaxItem = 32 << 20 }},
		{"-I 128M -m 256", func(c *Config) { c.MaxItem, c.Memory = 128<<20, 256<<20 }},
		{"-m 256 -I128M", func(c *Config) { c.MaxItem, c.Memory = 128<<20, 256<<20 }},
	} {
		t.Run(test.line, func(t *testing.T) {
			got, err := parse(t, test.line)
			if err != nil {
				t.Fatal(err)
			}
			want := defaults()
			want.Listen = tcp(":11211")
			test.want(&want)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestShow(t *testing.T) {
	for line, want := range map[string]string{
		"-h": "help", "--help": "help", "-V": "version", "--version": "version", "-i": "license", "-h extra": "help",
		"-V -l 1.2.3.4.5": "version",
	} {
		if got, err := parse(t, line); err != nil || got.Show != want {
			t.Errorf("%s: shows %q, %v, not %q", line, got.Show, err, want)
		}
	}
}

// Every refusal is one line that names what is refused.
func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		line string
		want string
		code int
	}{
		{"--nonsense", "--nonsense", 64},
		{"-q", "'q'", 64},
		{"-p", "'p'", 64},
		{"--port", "--port", 64},
		{"extra", `"extra"`, 64},
		{"-p x", "-p x: must be a whole number from -1 to 65535", 1},
		{"-p 65536", "-p 65536", 1},
		{"-p -2", "-p -2", 1},
		{"-U 11211", "UDP is not supported", 1},
		{"-U -1", "-U -1: UDP", 1},
		{"-U x", "-U x", 1},
		{"-l 1.2.3.4.5", "-l 1.2.3.4.5: not an address", 1},
		{"-l 127.0.0.1:x", `-l 127.0.0.1:x: port "x"`, 1},
		{"-l 127.0.0.1:70000", "70000", 1},
		{"-l [::1:5", "-l [::1:5: not an address", 1},
		{"-l 1::2::3", "-l 1::2::3: not an address", 1},
		{"-l unix:/tmp/x", "-l unix:/tmp/x", 1},
		{"-l ,", "-l ,: no address", 1},
		{"-l :5", "-l :5: not an address", 1},
		{"--listen=", "-l : must not be empty", 1},
		{"-s /tmp/s -a 999", "-a 999", 1},
		{"-a 1777", "-a 1777", 1},
		{"-m 0", "-m 0: must be a whole number from 8", 1},
		{"-m -1", "-m -1", 1},
		{"-m 64x", "-m 64x", 1},
		{"-m 99999999999", "-m 99999999999", 1},
		{"-c 0", "-c 0: must be a whole number of at least 1", 1},
		{"-c -1", "-c -1", 1},
		{"-c x", "-c x", 1},
		{"-t 0", "-t 0", 1},
		{"-t -4", "-t -4", 1},
		{"-R 0", "-R 0", 1},
		{"-b -1", "-b -1", 1},
		{"-B foo", "-B foo: must be one of auto, ascii, binary", 1},
		{"-I 1000", "-I 1000: must be a size from 1k to 128m", 1},
		{"-I 256m", "-I 256m", 1},
		{"-I 9223372036854775807g", "-I 9223372036854775807g", 1},
		{"--memory-file= -m 64", "-e : must not be empty", 1},
		{"-e /x -o ext_path=/y:64m", "-e /x and -o ext_path=/y: ", 1},
		{"-I 33m", "-I 34603008 is more than half of -m 64", 1},
		{"-I x", "-I x", 1},
		{"-I k", "-I k", 1},
		{"-I 64m -m 100", "more than half of -m 100", 1},
		{"-m 12 -o ext_path=/y:64m", "-m 12 is too little: with -I 1048576 and -o ext_path=/y it must be 13", 1},
		{"-m 64 -I 16m -o ext_path=/y:1g,ext_wbuf_size=32", "-m 64 is too little: with -I 16777216 and -o ext_path=/y it must be 99", 1},
		{"-f 1", "-f 1: must be a number above 1", 1},
		{"-n 0", "-n 0", 1},
		{"-S", "-S needs $MEMCACHED_SASL_PWDB or -o sasl_pwdb=PATH", 1},
		{"-S -Y /x -o sasl_pwdb=/x", "leave one out", 1},
		{"-S -B ascii -o sasl_pwdb=/x", "-B ascii: passwords are for -B binary only", 1},
		{"-Y /x -B binary", "-B binary: passwords are for -B ascii only", 1},
		{"-Z", "-Z needs -o ssl_chain_cert=PATH", 1},
		{"--enable-ssl", "-Z needs -o ssl_chain_cert=PATH", 1},
		{"-Z -o ssl_chain_cert=/x -p 0", "-Z needs a TCP port", 1},
		{"-Z -o ssl_chain_cert=/x,ssl_verify_mode=2", "-o ssl_verify_mode=2 needs -o ssl_ca_cert=PATH", 1},
		{"-l notls:127.0.0.1:5", "-l notls:127.0.0.1:5: without -Z there is no TLS", 1},
		{"--pidfile=", "-P : must not be empty", 1},
	} {
		t.Run(test.line, func(t *testing.T) {
			got, err := parse(t, test.line)
			if err == nil {
				t.Fatalf("taken as %+v", got)
			}
			if text := err.Error(); !strings.Contains(text, test.want) || strings.Contains(text, "\n") {
				t.Errorf("error is %q, without %q", text, test.want)
			}
			if code := exitCode(err); code != test.code {
				t.Errorf("exit code of %q is %d, not %d", err, code, test.code)
			}
		})
	}
}

func TestPortFile(t *testing.T) {
	c, err := parseArgs(nil, t.Output(), func(name string) string {
		if name == "MEMCACHED_PORT_FILENAME" {
			return "/tmp/ports"
		}
		return ""
	})
	if err != nil || c.PortFile != "/tmp/ports" {
		t.Errorf("port file %q, %v", c.PortFile, err)
	}
}

// What has no effect is taken, and said with the reason.
func TestNoEffectFlags(t *testing.T) {
	var log bytes.Buffer
	args := strings.Fields("-k -r -L -f 1.5 -n 96 -N 2 -o hot_lru_pct=30,modern")
	c, err := parseArgs(args, &log, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"-k", "-r", "-L", "-f", "-n", "-N", `"-o hot_lru_pct"`, `"-o modern"`} {
		if !strings.Contains(log.String(), "setting="+name+" why=") {
			t.Errorf("the log does not say that %s has no effect:\n%s", name, &log)
		}
	}
	if c.Reported["growth_factor"] != "1.50" {
		t.Errorf("reported are %v", c.Reported)
	}
	if len(c.NoEffect) != 8 {
		t.Errorf("%d settings without effect, not 8: %v", len(c.NoEffect), c.NoEffect)
	}
}

// Every flag is known by both of its names, says what it does, and its default
// survives being left out.
func TestFlagTable(t *testing.T) {
	set := flagSet(new(Config))
	for _, f := range flags {
		if len(f.short) != 1 || set.Lookup(f.name) == nil || set.ShorthandLookup(f.short) == nil {
			t.Errorf("-%s --%s is not one short and one long flag", f.short, f.name)
		}
		checkSetting(t, &f)
	}
}

func checkSetting(t *testing.T, s *setting) {
	t.Helper()
	if s.help == "" {
		t.Errorf("%s has no help", s.name)
	}
	if (s.set == nil) != (s.refused != "") || (s.refused != "" && s.noEffect != "") {
		t.Errorf("%s must be exactly one of: set, refused", s.name)
	}
}

func TestHelpNamesEverything(t *testing.T) {
	help := helpText()
	for _, f := range flags {
		if strings.Contains(help, "--"+f.name) != (f.refused == "") {
			t.Errorf("help on --%s, refused %q", f.name, f.refused)
		}
	}
	for _, o := range options {
		if strings.Contains(help, "  "+o.name) != (o.refused == "") {
			t.Errorf("help on %s, refused %q", o.name, o.refused)
		}
	}
}

func FuzzParseArgs(f *testing.F) {
	f.Add("-p 11211 -l [::1]:5,a -o ext_path=/a:b:5g:old,hot_percent=3 -I 5k")
	f.Add("-vvm64 -o modern,,x")
	f.Fuzz(func(t *testing.T, line string) {
		c, err := parseArgs(strings.Fields(line), t.Output(), noEnv)
		if err != nil {
			if err.Error() == "" || exitCode(err) == 0 {
				t.Fatalf("error %q has no text or no code", err)
			}
			return
		}
		if c.Show == "" && (c.Memory < minMemory<<20 || c.MaxItem < minItem || c.Threads < 1 || c.Connections < 1 || c.Backpressure < time.Millisecond) {
			t.Fatalf("%q is taken as %+v", line, c)
		}
	})
}
