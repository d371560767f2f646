// Package keys holds what a node keeps secret and what it proves with it.
//
// A device is named by its Ed25519 key, an [ID]; the same key is its libp2p
// identity and never leaves the device. Every signature names what it is for,
// its [Purpose], so that a signature made for one use is worthless for any
// other. Op-keys ([OpKey]) are the symmetric keys of entities; box keys
// ([BoxKey]) receive them. [Marshal] and [Unmarshal] are the strict CBOR codec
// that all signed and transmitted bytes go through.
//
// Secrets are awkward on purpose: [Private], [BoxKey] and [OpKey] cannot be
// printed, logged or compared with == by accident, and have no text form.
//
// docs/PROTOCOL.md §1 is the specification of everything in this package.
package keys
