//go:build !linux

package main

import "syscall"

// dieWithParent can ask no such thing of this system: a demo that is killed leaves
// its children.
func dieWithParent() *syscall.SysProcAttr { return nil }
