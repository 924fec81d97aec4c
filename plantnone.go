//go:build !hearth_plant

package hearth

// planted is false but in a build of the crash test's own.
func planted() bool { return false }
