package certify

import (
	"fmt"
	"strconv"
	"strings"
)

// older tells whether version, as a server gives it, is one of memcached's before
// since. What is no version of memcached's is not.
func older(version, since string) bool {
	have, want := parseVersion(version), parseVersion(since)
	if len(have) == 0 {
		return false
	}
	for i, n := range want {
		if i >= len(have) || have[i] != n {
			return i >= len(have) || have[i] < n
		}
	}
	return false
}

// parseVersion reads the numbers at the front of a version.
func parseVersion(version string) (numbers []int) {
	end := strings.IndexFunc(version, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	if end >= 0 {
		version = version[:end]
	}
	for part := range strings.SplitSeq(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			break
		}
		numbers = append(numbers, n)
	}
	return numbers
}

// excuse turns a failure of a server that is too old for the check into what it
// is.
func (s *server) excuse(c *check, res *Result) {
	if res.Verdict == Fail && c.since != "" && older(s.version, c.since) {
		res.Verdict = NotSupported
		res.Why = fmt.Sprintf("memcached answers so by %s", c.since)
	}
}
