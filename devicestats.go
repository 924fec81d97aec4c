package hearth

import "github.com/hearthcache/hearth/flashtier"

// DeviceState is whether a device is in use.
type DeviceState string

// The states of a device.
const (
	DeviceIn       DeviceState = "in"
	DeviceNoWrites DeviceState = "no_writes" // it is full or fails; tried again every ten seconds
	DeviceOut      DeviceState = "out"       // it could not be read, and is out until the next Open
	DeviceAbsent   DeviceState = "absent"    // Open could not reach it: see Options.SkipMissing
)

// DeviceStats are of one device. Those of one that is absent have only the first
// fields.
type DeviceStats struct {
	Dir   string
	Size  int64 // bytes
	State DeviceState

	FirstPage flashtier.PageID // of its pages, the number that Pages gives the first
	Recovery  flashtier.Recovery
	Flash     flashtier.Stats
}

// Devices tells of each device, those that are absent last; nil without flash.
func (c *Cache) Devices() (list []DeviceStats) {
	if c.flash == nil {
		return nil
	}
	for _, d := range c.flash.all {
		list = append(list, DeviceStats{Dir: d.dir, Size: d.size, State: d.state(), FirstPage: d.first, Recovery: d.recovery, Flash: d.Stats()})
	}
	for _, d := range c.flash.absent {
		list = append(list, DeviceStats{Dir: d.dir, Size: d.size, State: DeviceAbsent})
	}
	return list
}

func (d *device) state() DeviceState {
	switch {
	case d.gone.Load():
		return DeviceOut
	case d.Out():
		return DeviceNoWrites
	}
	return DeviceIn
}
