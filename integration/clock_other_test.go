//go:build !linux

package integration_test

import "time"

// clock returns nanoseconds of a clock that all processes share.
func clock() int64 { return time.Now().UnixNano() }
