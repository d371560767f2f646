package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Listen opens the socket called path, 0600 in a directory that nobody else
// may use. A socket that is there is taken away only when nobody answers on it:
// the caller holds the lock of the home, so whoever answers is on its way out, and
// is waited for a little. It fails with ErrInUse.
func Listen(ctx context.Context, path string) (net.Listener, error) {
	if err := privateDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, leavingTime)
	defer cancel()
	for {
		err := removeStale(ctx, path)
		if err == nil {
			break
		}
		if !errors.Is(err, ErrInUse) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(50 * time.Millisecond):
		}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	// The directory keeps everybody out between these two calls.
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("protect %s: %w", path, err)
	}
	return l, nil
}

// Errors of Listen.
var (
	// ErrInUse says that another process answers on the socket.
	ErrInUse = errors.New("api: the socket is in use")
	// ErrOpenDir says that others may use the directory of the socket.
	ErrOpenDir = errors.New("api: others may use the socket's directory")
)

// privateDir makes dir, and refuses one that is not ours alone.
func privateDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the socket's directory: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("look at the socket's directory: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || !ok || owner.Uid != uint32(os.Getuid()) {
		return fmt.Errorf("%w: %s is %v", ErrOpenDir, dir, info.Mode())
	}
	return nil
}

// removeStale takes away the socket of a process that was killed.
func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at %s: %w", path, err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("listen on %s: a file that is not a socket is in the way", path)
	}
	d := net.Dialer{Timeout: probeTime}
	c, err := d.DialContext(ctx, "unix", path)
	if err == nil {
		_ = c.Close()
		return fmt.Errorf("%w: %s", ErrInUse, path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrInUse, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the socket of a node that is gone: %w", err)
	}
	return nil
}
