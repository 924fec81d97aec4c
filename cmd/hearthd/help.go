package main

import (
	"fmt"
	"strings"
)

const licenseText = `Hearth is free software under the MIT License.
Copyright (c) 2026 The Hearth authors

It is provided "as is", without warranty of any kind, express or implied.
`

// texts are what -h, -V and -i print.
var texts = map[string]func() string{
	"help":    helpText,
	"version": func() string { return "hearthd " + version + "\n" },
	"license": func() string { return licenseText },
}

// helpText is the answer to -h.
func helpText() string {
	var b strings.Builder
	b.WriteString("hearthd: a memcached server with a flash tier\n\n")
	for i := range flags {
		f := &flags[i]
		f.line(&b, fmt.Sprintf("-%s, --%s", f.short, f.name))
	}
	b.WriteString("\nOptions of -o, several joined by commas:\n")
	for i := range options {
		options[i].line(&b, options[i].name)
	}
	return b.String()
}

// line writes what s is, unless it is refused.
func (s *setting) line(b *strings.Builder, label string) {
	if s.refused != "" {
		return
	}
	if s.arg != "" {
		label += "=" + s.arg
	}
	fmt.Fprintf(b, "  %-32s %s", label, s.help)
	if s.noEffect != "" {
		b.WriteString(" (no effect)")
	}
	b.WriteByte('\n')
}
