//go:build unix

package main

import "syscall"

// keepPrivate makes every file of this process its owner's alone, also those that
// a library creates.
func keepPrivate() { syscall.Umask(0o077) }
