//go:build !unix

package node

// diskRoom is not known on this system; a failing write still stops the store.
func diskRoom(string) error { return nil }
