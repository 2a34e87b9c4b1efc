package integration_test

import "golang.org/x/sys/unix"

// clock returns nanoseconds of a clock that all processes share and nothing sets.
func clock() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(err)
	}
	return now.Nano()
}
