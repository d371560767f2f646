package me

import (
	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// maxSeconds bounds the Unix seconds of a request: the year 6325.
const maxSeconds = 1 << 37

// Asking is the body of me/request: a claim of the device that writes it, so
// that the user's other devices can show and decide it. Times are Unix seconds;
// State and Reason are invite's.
type Asking struct {
	Ref      [16]byte     `cbor:"1,keyasint"`
	JoinID   keys.Digest  `cbor:"2,keyasint"`
	Kind     entity.Kind  `cbor:"3,keyasint"`
	Entity   keys.Digest  `cbor:"4,keyasint"`
	User     *keys.Digest `cbor:"5,keyasint,omitempty"` // none of a device
	Device   keys.ID      `cbor:"6,keyasint"`
	Name     string       `cbor:"7,keyasint,omitempty"`
	Note     string       `cbor:"8,keyasint,omitempty"`
	Since    uint64       `cbor:"9,keyasint"`
	Deadline uint64       `cbor:"10,keyasint"`
	State    uint8        `cbor:"11,keyasint"`
	Reason   uint16       `cbor:"12,keyasint,omitempty"`
	Code     string       `cbor:"13,keyasint,omitempty"` // never a device's
	Extra    bool         `cbor:"14,keyasint,omitempty"`
}

// Asked is an Asking with who wrote it.
type Asked struct {
	Asking
	By keys.ID // the device that holds the claim and carries out its decision
}

// AskedAt names a request by its joinid and the device that says it has it: no
// device can take the request of another one away.
type AskedAt struct {
	JoinID keys.Digest
	By     keys.ID
}

func (b *Asking) check() bool {
	return entity.IsText(b.Name, entity.MaxName) && entity.IsText(b.Note, entity.MaxTitle) && len(b.Code) <= 6 &&
		b.Since <= maxSeconds && b.Deadline <= maxSeconds
}

var request = row{
	word: "request",
	body: func() body { return new(Asking) },
	apply: func(s *State, o oplog.Op, b body) {
		a := b.(*Asking)
		s.Requests[AskedAt{a.JoinID, o.Device()}] = Asked{*a, o.Device()}
	},
	replaces: func(device keys.ID, b body) any { return AskedAt{b.(*Asking).JoinID, device} },
	own:      true,
}
