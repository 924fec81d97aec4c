package certify

import "context"

func (r *runner) moveToFlash(ctx context.Context) (string, error) { return "later", nil }
