package entity

import (
	"fmt"
	"io"

	"pttnode/keys"
	"pttnode/oplog"
)

// Joined is the body of me/joined: what the user's other devices need to have
// an entity too.
type Joined struct {
	Entity keys.Digest   `cbor:"1,keyasint"`
	Kind   Kind          `cbor:"2,keyasint"`
	Heads  []keys.Digest `cbor:"3,keyasint"`
	Addrs  [][]byte      `cbor:"4,keyasint"` // signed peer records
	Keys   []EpochKey    `cbor:"5,keyasint"`
}

// Left is the body of me/left.
type Left struct {
	Entity keys.Digest `cbor:"1,keyasint"`
}

// Seen is the body of me/read: content ops that the user has read, each for
// itself.
type Seen struct {
	Entity keys.Digest   `cbor:"1,keyasint"`
	Heads  []keys.Digest `cbor:"2,keyasint"` // ascending, at most MaxSeen
}

// Decision is the body of me/decision: what the user decided, on any of his
// devices, about a request that waits at the device that made the link.
type Decision struct {
	Ref    [16]byte    `cbor:"1,keyasint"`
	JoinID keys.Digest `cbor:"2,keyasint"`
	Choice uint8       `cbor:"3,keyasint"` // Approve or Reject
}

// Choices of a Decision. Wire values; do not reorder.
const (
	Approve uint8 = 1
	Reject  uint8 = 2
)

// Setting is the body of me/setting; the last one of a name counts.
type Setting struct {
	Name  string `cbor:"1,keyasint"`
	Value []byte `cbor:"2,keyasint"`
}

// DeviceNameSetting returns the name of the setting that holds a device's name.
func DeviceNameSetting(device keys.ID) string { return "device:" + device.String() }

// BlockSetting returns the name of the setting that refuses what a user asks for: one
// byte, 1 while it does.
func BlockSetting(user keys.Digest) string { return "block:" + user.String() }

// Asking is the body of me/request: a claim of the device that writes it, so
// that the user's other devices can show and decide it. Times are Unix seconds;
// State and Reason are invite's.
type Asking struct {
	Ref      [16]byte     `cbor:"1,keyasint"`
	JoinID   keys.Digest  `cbor:"2,keyasint"`
	Kind     Kind         `cbor:"3,keyasint"`
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

// Decided is a Decision with who wrote it.
type Decided struct {
	Decision
	By keys.ID
}

// EpochKey is the op-key of an epoch, where it is written for who may have it.
type EpochKey struct {
	Epoch keys.Digest `cbor:"1,keyasint"`
	Key   [32]byte    `cbor:"2,keyasint"`
}

// String hides the key.
func (k EpochKey) String() string { return "epoch-key:" + k.Epoch.String() }

// Format hides the key, whatever the verb.
func (k EpochKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// MarshalText hides the key from JSON and from loggers.
func (k EpochKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// MeLog is what the me-oplog means: the content strand of a Me.
type MeLog struct {
	Entities  map[keys.Digest]Joined               // joined and not left since, with the keys of all entries
	Seen      map[keys.Digest]map[keys.Digest]bool // by entity, the ops that were read
	Decisions map[keys.Digest]Decided              // by joinid, the first
	Settings  map[string][]byte                    // the last of each name
	Requests  map[AskedAt]Asked                    // the last of each
}

// AskedAt names a request by its joinid and the device that says it has it: no
// device can take the request of another one away.
type AskedAt struct {
	JoinID keys.Digest
	By     keys.ID
}

// FoldMe reads the me-oplog with the keys of Me. What cannot be opened or is out
// of bounds is passed over. opened keeps the opened bodies from one call to the
// next; it may be nil.
func (e *Entity) FoldMe(ring Keyring, opened map[keys.Digest]any) MeLog {
	l := MeLog{
		Entities: make(map[keys.Digest]Joined), Seen: make(map[keys.Digest]map[keys.Digest]bool),
		Decisions: make(map[keys.Digest]Decided), Settings: make(map[string][]byte), Requests: make(map[AskedAt]Asked),
	}
	if opened == nil {
		opened = make(map[keys.Digest]any)
	}
	epochs := make(map[keys.Digest][]EpochKey)
	for o := range e.log.All(oplog.Content) {
		if o.Family() != oplog.FamilyMe || !e.Counts(o) {
			continue
		}
		body, ok := opened[o.ID()]
		if !ok {
			if body = e.openMe(o, ring); body == nil {
				continue // perhaps its key is still to come
			}
			opened[o.ID()] = body
		}
		switch b := body.(type) {
		case *Joined:
			epochs[b.Entity] = append(epochs[b.Entity], b.Keys...)
			j := *b
			j.Keys = epochs[b.Entity]
			l.Entities[b.Entity] = j
		case *Left:
			delete(l.Entities, b.Entity)
		case *Seen:
			if l.Seen[b.Entity] == nil {
				l.Seen[b.Entity] = make(map[keys.Digest]bool)
			}
			for _, id := range b.Heads {
				l.Seen[b.Entity][id] = true
			}
		case *Decision:
			if _, ok := l.Decisions[b.JoinID]; !ok {
				l.Decisions[b.JoinID] = Decided{*b, o.Device()}
			}
		case *Setting:
			l.Settings[b.Name] = b.Value
		case *Asking:
			l.Requests[AskedAt{b.JoinID, o.Device()}] = Asked{*b, o.Device()}
		}
	}
	return l
}

// openMe opens one entry of the me-oplog; nil for what cannot be opened, is of a
// later version, or out of bounds.
func (e *Entity) openMe(o oplog.Op, ring Keyring) any {
	body := meBody(o.Type())
	if body == nil || e.Read(o, ring, body) != nil {
		return nil
	}
	switch b := body.(type) {
	case *Seen:
		if len(b.Heads) > MaxSeen || !ascending(b.Heads, compare) {
			return nil
		}
	case *Decision:
		if b.Choice != Approve && b.Choice != Reject {
			return nil // what is not understood must not stand for a no
		}
	case *Setting:
		if !text(b.Name, MaxName) || len(b.Value) > MaxSetting {
			return nil
		}
	case *Asking:
		if !text(b.Name, MaxName) || !text(b.Note, MaxTitle) || len(b.Code) > 6 || b.Since > maxSeconds || b.Deadline > maxSeconds {
			return nil
		}
	}
	return body
}

// meBody returns a pointer to a zero body of a type of the me-oplog, nil for an
// unknown type.
func meBody(typ uint16) any {
	switch typ {
	case TypeJoined:
		return new(Joined)
	case TypeLeft:
		return new(Left)
	case TypeRead:
		return new(Seen)
	case TypeDecision:
		return new(Decision)
	case TypeSetting:
		return new(Setting)
	case TypeRequest:
		return new(Asking)
	}
	return nil
}
