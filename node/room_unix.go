//go:build unix

package node

import (
	"fmt"
	"syscall"
)

// diskRoom says whether the disk has room: the store stops accepting while it can
// still compact and close in order.
func diskRoom(path string) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return fmt.Errorf("disk: %w", err)
	}
	if free := uint64(s.Bavail) * uint64(s.Bsize); free < minFreeBytes {
		return fmt.Errorf("disk: %d MiB free, need %d", free>>20, minFreeBytes>>20)
	}
	return nil
}
