package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// target is the server under test. Its methods are called by one goroutine.
type target interface {
	// start begins a run of the server, which is not yet ready.
	start() error
	// ready waits until the server answers, and gives its address.
	ready(ctx context.Context) (addr string, err error)
	// signal sends SIGKILL or SIGTERM.
	signal(s syscall.Signal)
	// wait waits until the run is over, and tells whether it ended well.
	wait(ctx context.Context) error
	// ended is closed when the run is over.
	ended() <-chan struct{}
}

var errEnded = errors.New("the server ended by itself")

// process is a hearthd.
type process struct {
	binary string
	args   []string
	dir    string
	cmd    *exec.Cmd
	log    *os.File
	done   chan struct{}
	result error
}

func newProcess(binary string, s *setup, extra []string) *process {
	return &process{binary: binary, dir: s.dir, args: append(s.args(), extra...)}
}

// build makes the binary under test, unless one is given.
func build(ctx context.Context, o options, dir string) (string, error) {
	if o.hearthd != "" {
		return o.hearthd, nil
	}
	binary := filepath.Join(dir, "hearthd")
	args := []string{"build", "-o", binary, "-tags", o.tags}
	if o.race {
		args = append(args, "-race")
	}
	out, err := exec.CommandContext(ctx, "go", append(args, "github.com/hearthcache/hearth/cmd/hearthd")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build hearthd: %w\n%s", err, out)
	}
	return binary, nil
}

func (p *process) portFile() string { return filepath.Join(p.dir, "port") }

func (p *process) start() error {
	err := os.Remove(p.portFile())
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	p.log, err = os.OpenFile(filepath.Join(p.dir, "hearthd.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	p.cmd = exec.Command(p.binary, p.args...)
	p.cmd.Env = append(os.Environ(), "MEMCACHED_PORT_FILENAME="+p.portFile())
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("start hearthd: %w", err), p.log.Close())
	}
	p.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		p.result = cmd.Wait()
		p.log.Close()
		close(done)
	}(p.cmd, p.done)
	return nil
}

// ready waits for the port file, and for an answer at that port.
func (p *process) ready(ctx context.Context) (string, error) {
	retry := time.NewTicker(2 * time.Millisecond)
	defer retry.Stop()
	for {
		if addr := p.addr(); addr != "" && answers(addr) {
			return addr, nil
		}
		select {
		case <-p.done:
			return "", fmt.Errorf("%w at its start: %w: %s", errEnded, p.result, p.tail())
		case <-ctx.Done():
			return "", fmt.Errorf("wait for hearthd to answer: %w: %s", ctx.Err(), p.tail())
		case <-retry.C:
		}
	}
}

func (p *process) addr() string {
	text, _ := os.ReadFile(p.portFile())
	port, found := strings.CutPrefix(strings.TrimSpace(string(text)), "TCP INET: ")
	if !found {
		return ""
	}
	return net.JoinHostPort("127.0.0.1", port)
}

func answers(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write([]byte("version\r\n")); err != nil {
		return false
	}
	reply := make([]byte, 64)
	n, _ := conn.Read(reply)
	return bytes.HasPrefix(reply[:n], []byte("VERSION "))
}

func (p *process) signal(s syscall.Signal) { p.cmd.Process.Signal(s) }

func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.done:
	case <-ctx.Done():
		p.signal(syscall.SIGKILL)
		<-p.done
		return fmt.Errorf("wait for hearthd to stop: %w: %s", ctx.Err(), p.tail())
	}
	var exit *exec.ExitError
	if errors.As(p.result, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		return nil
	}
	if p.result != nil {
		return fmt.Errorf("%w: %s", p.result, p.tail())
	}
	return nil
}

func (p *process) ended() <-chan struct{} { return p.done }

// tail is the end of the server's log.
func (p *process) tail() string {
	text, _ := os.ReadFile(filepath.Join(p.dir, "hearthd.log"))
	return string(text[max(0, len(text)-4096):])
}
