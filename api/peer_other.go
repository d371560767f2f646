//go:build !linux

package api

import (
	"net"
	"os"
)

// peerUID takes everybody who could open the socket for our own user: here only
// its permissions and those of its directory say so.
func peerUID(net.Conn) (uint32, error) { return uint32(os.Getuid()), nil }
