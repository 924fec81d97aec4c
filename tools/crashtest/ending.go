package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ending is how a run of the server is ended.
type ending uint8

const (
	killed     ending = iota // SIGKILL under load
	terminated               // SIGTERM under load
	both                     // SIGTERM under load, SIGKILL before it has stopped
	idle                     // SIGTERM without load
	idleKilled               // SIGKILL without load
	endings
)

var endingNames = [endings]string{"killed", "terminated", "killed while stopping", "terminated idle", "killed idle"}

func (e ending) String() string { return endingNames[e] }

// graceful tells whether the server was left the time to stop by itself.
func (e ending) graceful() bool { return e == terminated || e == idle }

func (b *bench) chooseEnding() ending {
	return []ending{killed, killed, killed, killed, terminated, terminated, both, idle, idleKilled}[b.rand.IntN(9)]
}

// end ends the server's run and then the clients', and tells the oracle.
func (b *bench) end(ctx context.Context, stop chan struct{}, results chan error) error {
	b.load.last = &ratio{}
	how := b.chooseEnding()
	if how == idle || how == idleKilled {
		close(stop)
		if err := b.drain(results); err != nil {
			return fmt.Errorf("%v: %w", how, err)
		}
		b.pause(random(b.rand, 200*time.Millisecond))
	}
	*b.load.last = b.load.takeRatio()
	b.load.last.ending = how
	if how == killed || how == idleKilled {
		b.target.signal(syscall.SIGKILL)
	} else {
		b.target.signal(syscall.SIGTERM)
	}
	if how == both {
		b.pause(random(b.rand, 80*time.Millisecond))
		b.target.signal(syscall.SIGKILL)
	}
	began := time.Now()
	err := b.wait(ctx)
	if how.graceful() {
		b.totals.stopped(time.Since(began))
	}
	for _, c := range b.clients {
		c.conn.Close()
	}
	if how != idle && how != idleKilled {
		err = errors.Join(err, onlyBad(b.drain(results)))
		close(stop)
	}
	if err != nil {
		return fmt.Errorf("%v: %w", how, err)
	}
	b.totals.endings[how]++
	b.load.oracle.Restart(how.graceful() && b.setup.lossless)
	return nil
}

// drain waits for the clients.
func (b *bench) drain(results chan error) (err error) {
	for range b.clients {
		err = errors.Join(err, <-results)
	}
	return err
}

// onlyBad drops the errors that connections have because the server went away.
func onlyBad(err error) error {
	if errors.Is(err, errReply) || stuck(err) {
		return err
	}
	return nil
}

// watched are the server's statistics that show that the test does what it is
// for.
var watched = []string{
	"hearth_demoted", "hearth_hits_flash", "extstore_page_allocs", "extstore_page_reclaims", "extstore_page_evictions",
	"evictions", "hearth_journal_entries", "hearth_journal_folds", "hearth_backpressured",
}

// readStats adds the run's statistics to the totals.
func (b *bench) readStats(addr string) error {
	stats, err := askStats(addr)
	for _, name := range watched {
		b.totals.stats[name] += stats[name]
	}
	return err
}

// askStats gives those of the server's statistics that are whole numbers.
func askStats(addr string) (map[string]uint64, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connect for stats: %w", err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(replyLimit))
	if _, err := conn.Write([]byte("stats\r\n")); err != nil {
		return nil, fmt.Errorf("ask for stats: %w", err)
	}
	in, stats := bufio.NewReader(conn), map[string]uint64{}
	for {
		line, err := readLine(in)
		if err != nil {
			return nil, fmt.Errorf("read stats: %w", err)
		}
		if line == "END" {
			return stats, nil
		}
		if words := strings.Fields(line); len(words) == 3 {
			if n, err := strconv.ParseUint(words[2], 10, 64); err == nil {
				stats[words[1]] = n
			}
		}
	}
}
