package trace

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/tools/loadgen"
)

var errReply = errors.New("unexpected reply")

const (
	// replyLimit bounds how long a batch may take.
	replyLimit = 60 * time.Second
	// longestTTL is the longest that servers take for a time from now, in seconds.
	longestTTL = 30 * 24 * 3600
)

// Server is a memcached-speaking server as a target, by one connection.
type Server struct {
	conn   net.Conn
	in     *bufio.Reader
	out    []byte
	values []byte
	speed  float64
	began  time.Time // when the trace's time 0 was
	pid    int
	late   time.Duration // how far the replay is behind its timetable
}

// Dial connects to the server at addr. speed is how many seconds of the trace go
// by in one of the server's, 0 to go as fast as replies come. pid is the server's
// process; 0 asks the server.
func Dial(addr string, speed float64, pid int) (*Server, error) {
	if speed < 0 || math.IsNaN(speed) || math.IsInf(speed, 0) {
		return nil, fmt.Errorf("speed %g: want 0 or more", speed)
	}
	conn, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return nil, err
	}
	return &Server{conn: conn, in: bufio.NewReaderSize(conn, 256<<10), speed: speed, pid: pid}, nil
}

// Close ends the connection.
func (s *Server) Close() error { return s.conn.Close() }

// At waits for the trace's time, if there is a timetable.
func (s *Server) At(t time.Duration) {
	if s.speed == 0 {
		return
	}
	if s.began.IsZero() {
		s.began = time.Now()
	}
	due := s.began.Add(time.Duration(float64(t) / s.speed))
	wait := time.Until(due)
	time.Sleep(wait)
	s.late = max(s.late, -wait)
}

// Late is the most that the replay was behind its timetable.
func (s *Server) Late() time.Duration { return s.late }

// TTL is in seconds of the server's clock, at least 1.
func (s *Server) TTL(seconds uint32) uint32 {
	if s.speed > 0 {
		seconds = uint32(math.Ceil(float64(seconds) / s.speed))
	}
	return min(seconds, longestTTL)
}

// Do sends all calls, while it reads the replies.
func (s *Server) Do(calls []Call) error {
	if len(calls) == 0 {
		return nil
	}
	s.out, s.values = s.out[:0], s.values[:0]
	for i := range calls {
		s.out = appendCall(s.out, &calls[i])
	}
	if err := s.conn.SetDeadline(time.Now().Add(replyLimit)); err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() {
		_, err := s.conn.Write(s.out)
		sent <- err
	}()
	for i := range calls {
		if err := s.receive(&calls[i]); err != nil {
			s.conn.Close() // so that the write ends
			return errors.Join(fmt.Errorf("%s %s: %w", calls[i].Op, calls[i].Key, err), <-sent)
		}
	}
	return <-sent
}

func appendCall(out []byte, c *Call) []byte {
	switch c.Op {
	case Get, LoneGet:
		out = append(append(out, "get "...), c.Key...)
	case Gets, Delete:
		out = append(append(append(out, c.Op.String()...), ' '), c.Key...)
	case Incr:
		out = append(append(append(out, "incr "...), c.Key...), " 1"...)
	default:
		out = append(append(append(out, c.Op.String()...), ' '), c.Key...)
		out = strconv.AppendUint(append(out, " 0 "...), uint64(c.TTL), 10)
		out = strconv.AppendInt(append(out, ' '), int64(len(c.Value)), 10)
		if c.Op == CAS {
			out = strconv.AppendUint(append(out, ' '), c.CAS, 10)
		}
		out = append(append(out, "\r\n"...), c.Value...)
	}
	return append(out, "\r\n"...)
}

// receive reads the reply to one call.
func (s *Server) receive(c *Call) error {
	line, err := s.line()
	if err != nil {
		return err
	}
	switch {
	case bytes.HasPrefix(line, []byte("VALUE ")):
		return s.receiveValue(c, line)
	case bytes.HasPrefix(line, []byte("SERVER_ERROR")), bytes.HasPrefix(line, []byte("CLIENT_ERROR")):
		c.Status, c.Error = Refused, string(line)
		return nil
	}
	switch string(line) {
	case "END", "NOT_STORED", "NOT_FOUND", "EXISTS":
		c.Status = Missed
	case "STORED", "DELETED":
		c.Status = Done
	default:
		if _, err := strconv.ParseUint(string(bytes.TrimSpace(line)), 10, 64); err != nil || c.Op != Incr {
			return fmt.Errorf("%w: %.60q", errReply, line)
		}
		c.Status = Done
	}
	return nil
}

func (s *Server) line() ([]byte, error) {
	line, err := s.in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(line, []byte("\r\n")), nil
}

// receiveValue reads the value that line, of the form VALUE key flags size [cas],
// announces, and the END after it.
func (s *Server) receiveValue(c *Call, line []byte) error {
	fields := bytes.Fields(line)
	if len(fields) < 4 || !bytes.Equal(fields[1], c.Key) {
		return fmt.Errorf("%w: %.60q", errReply, line)
	}
	size, err := strconv.Atoi(string(fields[3]))
	if err != nil || size < 0 || size > 1<<30 {
		return fmt.Errorf("%w: %.60q", errReply, line)
	}
	if len(fields) == 5 {
		c.CAS, _ = strconv.ParseUint(string(fields[4]), 10, 64)
	}
	const after = "\r\nEND\r\n"
	start := len(s.values)
	s.values = slices.Grow(s.values, size+len(after))[:start+size+len(after)]
	if _, err := io.ReadFull(s.in, s.values[start:]); err != nil {
		return err
	}
	if end := s.values[start+size:]; string(end) != after {
		return fmt.Errorf("%w: %q after a value of %d bytes", errReply, end, size)
	}
	s.values = s.values[:start+size]
	c.Status, c.Found = Hit, s.values[start:]
	return nil
}

// Usage is by the server's statistics and its process.
func (s *Server) Usage() (u Usage, err error) {
	stats, err := s.stats()
	if err != nil {
		return u, err
	}
	number := func(name string) (n uint64) {
		n, _ = strconv.ParseUint(stats[name], 10, 64)
		return n
	}
	u.Items = int64(number("curr_items"))
	u.FlashWritten = number("extstore_bytes_written")
	u.Evictions = number("evictions")
	if s.pid == 0 {
		s.pid = int(number("pid"))
	}
	usage, err := loadgen.ReadUsage(s.pid)
	if err == nil { // not so if the server is on another machine
		u.Memory = usage.RSS
	}
	return u, nil
}

func (s *Server) stats() (map[string]string, error) {
	s.conn.SetDeadline(time.Now().Add(replyLimit))
	if _, err := s.conn.Write([]byte("stats\r\n")); err != nil {
		return nil, err
	}
	all := map[string]string{}
	for {
		line, err := s.line()
		if err != nil {
			return nil, fmt.Errorf("stats: %w", err)
		}
		if string(line) == "END" {
			return all, nil
		}
		fields := bytes.SplitN(line, []byte(" "), 3)
		if len(fields) != 3 || len(fields[1]) > protocol.MaxKey {
			return nil, fmt.Errorf("stats: %w: %.60q", errReply, line)
		}
		all[string(fields[1])] = string(fields[2])
	}
}
