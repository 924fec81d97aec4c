package hearth

import (
	"errors"
	"testing"
)

// TestLeastMemory holds it to what Open takes: enough, and not much more than that.
func TestLeastMemory(t *testing.T) {
	for _, o := range []Options{
		{}, {Memory: 1 << 20}, {Memory: 8 << 20, MaxItem: 6 << 20}, {Memory: 10 << 20, FlashSize: 64 << 20},
		{Memory: 64 << 20, FlashSize: 1 << 30, MaxItem: 16 << 20}, {Memory: 16 << 20, FlashSize: 1 << 30, WriteBuffer: 8 << 20, MaxItem: 1 << 10},
		{Memory: 4 << 30, FlashSize: 1 << 40, MaxItem: 128 << 20},
	} {
		least := o.LeastMemory()
		enough := o
		enough.Memory = least
		if err := enough.withDefaults().validate("dir"); err != nil {
			t.Errorf("%+v: %d is not enough: %v", o, least, err)
		}
		if again := enough.LeastMemory(); again != least {
			t.Errorf("%+v: first %d, then %d", o, least, again)
		}
		if o.Memory == 0 || least == o.Memory {
			continue
		}
		enough.Memory = least - least/8
		if err := enough.withDefaults().validate("dir"); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: %d would be enough, not %d", o, enough.Memory, least)
		}
	}
}
