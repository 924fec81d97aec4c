package loadgen

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Usage is what a process has used so far.
type Usage struct {
	CPU     time.Duration // user and system, all threads, also those that ended
	RSS     int64         // bytes
	PeakRSS int64         // bytes, since the process started
	Anon    int64         // bytes of RSS that are no file's
	Virtual int64         // bytes mapped
	Threads int
}

// clockTick is the unit of CPU times in /proc: USER_HZ, 100 on all Linux ports
// Go runs on.
const clockTick = 10 * time.Millisecond

// ReadUsage reads the usage of a process from /proc.
func ReadUsage(pid int) (Usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Usage{}, fmt.Errorf("server's usage: %w", err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Usage{}, fmt.Errorf("server's usage: %w", err)
	}
	u := Usage{
		RSS:     statusNumber(status, "VmRSS:") << 10,
		PeakRSS: statusNumber(status, "VmHWM:") << 10,
		Anon:    statusNumber(status, "RssAnon:") << 10,
		Virtual: statusNumber(status, "VmSize:") << 10,
		Threads: int(statusNumber(status, "Threads:")),
	}
	u.CPU, err = parseCPU(stat)
	return u, err
}

// parseCPU adds utime and stime, the 12th and 13th fields after the name, which
// itself may have spaces and parentheses.
func parseCPU(stat []byte) (time.Duration, error) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("server's usage: short /proc stat %q", stat)
	}
	user, err := strconv.ParseInt(string(fields[11]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("server's usage: %w", err)
	}
	system, err := strconv.ParseInt(string(fields[12]), 10, 64)
	return time.Duration(user+system) * clockTick, err
}

// statusNumber is the number after a name in /proc/PID/status, 0 if absent.
func statusNumber(status []byte, name string) int64 {
	_, rest, _ := bytes.Cut(status, []byte("\n"+name))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) == 0 {
		return 0
	}
	n, _ := strconv.ParseInt(string(fields[0]), 10, 64)
	return n
}

// ownCPU is the CPU time this process has used.
func ownCPU() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
