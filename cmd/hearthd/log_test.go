package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
)

// TestLogFormat: the log has the form asked for, and levels below its own are not
// in it.
func TestLogFormat(t *testing.T) {
	for format, whole := range map[string]func([]byte) bool{
		"text": func(b []byte) bool { return strings.Contains(string(b), `level=INFO msg="a line" n=1`) },
		"json": json.Valid,
	} {
		var out bytes.Buffer
		log := newLog(&out, format, slog.LevelInfo)
		log.Debug("not this")
		log.Info("a line", "n", 1)
		if lines := strings.Count(out.String(), "\n"); lines != 1 || !whole(out.Bytes()) {
			t.Errorf("%s: %s", format, &out)
		}
	}
}
