//go:build hearth_plant

package hearth

import "sync/atomic"

var deaths atomic.Uint64

// planted makes one death in fifty go without its entry in the journal. The
// crash test is run with this build to see that it notices.
func planted() bool { return deaths.Add(1)%50 == 0 }
