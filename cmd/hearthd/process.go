package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// daemonMark tells a process that it is the one in the background.
const daemonMark = "HEARTHD_DAEMON"

// detach starts this program again in a session of its own and returns. The
// Go runtime has threads, so that it cannot simply fork.
func detach() error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own executable: %w", err)
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), daemonMark+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start in the background: %w", err)
	}
	return cmd.Process.Release()
}

// dropRoot changes to the user of -u when started by root.
func dropRoot(c *Config, log *slog.Logger) error {
	if os.Getuid() != 0 || c.User == "root" {
		return nil
	}
	if c.User == "" {
		log.Warn("running as root; -u NAME runs it as another user, -u root says that it is meant")
		return nil
	}
	u, err := user.Lookup(c.User)
	if err != nil {
		return fmt.Errorf("-u: %w", err)
	}
	uid, uidErr := strconv.Atoi(u.Uid)
	gid, gidErr := strconv.Atoi(u.Gid)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return fmt.Errorf("-u %s: %w", c.User, err)
	}
	if err := errors.Join(syscall.Setgroups([]int{gid}), syscall.Setgid(gid), syscall.Setuid(uid)); err != nil {
		return fmt.Errorf("become %s: %w", c.User, err)
	}
	return nil
}
