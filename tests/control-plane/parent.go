package main

import (
	"io"
	"os"
)

// exitWithParent ends this process when its standard input closes, if EXIT_WITH_PARENT is 1. Whoever starts it so keeps the
// other end of that pipe open and never writes; the kernel closes it however the parent ends, SIGKILL included. Reading a
// pipe, unlike asking who the parent is, works on every platform and has no race with a parent that is already gone.
func exitWithParent() {
	if os.Getenv("EXIT_WITH_PARENT") != "1" {
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
}
