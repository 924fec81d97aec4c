package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// setting is one flag, or one option of -o. It works, or is taken without
// effect, or is refused; noEffect and refused say why.
type setting struct {
	name  string // the long flag, or the option
	short string // the short flag
	arg   string // what its argument is; empty for none, [in brackets] if it may be left out
	help  string
	set   setter

	noEffect string
	refused  string
}

// setter puts a setting's argument, empty if it has none, into c. Its error
// does not name the setting; the caller does.
type setter func(c *Config, value string) error

// unlimited is the upper bound of numbers that have none.
const unlimited = math.MaxInt32

// apply sets s, by which the user knows it as label, to value.
func (s *setting) apply(c *Config, label, value string) error {
	if s.refused != "" {
		return errors.New(s.refused)
	}
	if s.noEffect != "" {
		c.NoEffect = append(c.NoEffect, Ignored{label, s.noEffect})
	}
	return s.set(c, value)
}

func whole(value string, least, most int) (int, error) {
	n, err := strconv.Atoi(value)
	if err == nil && n >= least && n <= most {
		return n, nil
	}
	if most == unlimited {
		return 0, fmt.Errorf("must be a whole number of at least %d", least)
	}
	return 0, fmt.Errorf("must be a whole number from %d to %d", least, most)
}

// number sets a field to a whole number times unit.
func number(least, most, unit int, field func(*Config) *int) setter {
	return func(c *Config, value string) error {
		n, err := whole(value, least, most)
		if err == nil {
			*field(c) = n * unit
		}
		return err
	}
}

// duration sets a field to a whole number times unit.
func duration(least, most int, unit time.Duration, field func(*Config) *time.Duration) setter {
	return func(c *Config, value string) error {
		n, err := whole(value, least, most)
		if err == nil {
			*field(c) = time.Duration(n) * unit
		}
		return err
	}
}

func on(field func(*Config) *bool) setter {
	return func(c *Config, _ string) error {
		*field(c) = true
		return nil
	}
}

func text(field func(*Config) *string) setter {
	return func(c *Config, value string) error {
		if value == "" {
			return errors.New("must not be empty")
		}
		*field(c) = value
		return nil
	}
}

func oneOf(field func(*Config) *string, words ...string) setter {
	return func(c *Config, value string) error {
		if err := among(value, words); err != nil {
			return err
		}
		*field(c) = value
		return nil
	}
}

func among(value string, words []string) error {
	for _, word := range words {
		if value == word {
			return nil
		}
	}
	return fmt.Errorf("must be one of %s", strings.Join(words, ", "))
}

func show(what string) setter {
	return func(c *Config, _ string) error {
		c.Show = what
		return nil
	}
}

// What follows is for settings without effect: the argument must be right all
// the same, and "stats settings" reports it.

func report(name, value string) setter {
	return func(c *Config, _ string) error {
		if name != "" {
			c.Reported[name] = value
		}
		return nil
	}
}

func reportWhole(name string, least, most, unit int) setter {
	return func(c *Config, value string) error {
		n, err := whole(value, least, most)
		if err == nil {
			c.Reported[name] = strconv.Itoa(n * unit)
		}
		return err
	}
}

// reportReal takes numbers that are more than least and at most most.
func reportReal(name string, least, most float64, decimals int) setter {
	return func(c *Config, value string) error {
		x, err := strconv.ParseFloat(value, 64)
		if err != nil || !(x > least && x <= most) {
			if most == unlimited {
				return fmt.Errorf("must be a number above %g", least)
			}
			return fmt.Errorf("must be a number above %g and up to %g", least, most)
		}
		c.Reported[name] = strconv.FormatFloat(x, 'f', decimals, 64)
		return nil
	}
}

func reportWord(name string, words ...string) setter {
	return func(c *Config, value string) error {
		if err := among(value, words); err != nil {
			return err
		}
		c.Reported[name] = value
		return nil
	}
}

func reportText(name string) setter {
	return func(c *Config, value string) error {
		if value == "" {
			return errors.New("must not be empty")
		}
		c.Reported[name] = value
		return nil
	}
}

// size reads a number of bytes with one of the suffixes in units, in upper or
// lower case; units start at 1024 and each is 1024 times the one before.
func size(value, units string) (bytes int64, suffixed bool, err error) {
	digits, scale := value, int64(1)
	if value != "" {
		last := strings.ToLower(value[len(value)-1:])
		if i := strings.Index("kmgt", last); i >= 0 && strings.Contains(units, last) {
			digits, scale, suffixed = value[:len(value)-1], 1<<(10*(i+1)), true
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/scale {
		return 0, suffixed, fmt.Errorf("%q is not a size", value)
	}
	return n * scale, suffixed, nil
}
