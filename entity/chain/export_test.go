package chain

// Pad returns c as if it had so many ops and bytes. The smallest op has 340 bytes, so no
// chain can be written that meets the bound of ops before that of bytes.
func (c *Chain) Pad(ops, bytes int) *Chain {
	padded := *c
	padded.len, padded.bytes = ops, bytes
	return &padded
}
