package invite

import (
	"fmt"
	"io"
)

// Secret is stored bytes that must not be printed: the body of a link, the
// verifier of a record. It is an ordinary byte string in CBOR and prints as
// "redacted" under every verb, in JSON and in logs.
type Secret []byte

// Format prints "redacted", whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "redacted") }

// MarshalText returns "redacted", for JSON and log/slog.
func (s Secret) MarshalText() ([]byte, error) { return []byte("redacted"), nil }
