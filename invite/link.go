package invite

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"pttnode/entity"
	"pttnode/keys"
)

// What can be wrong with a link, each told apart since people can do something
// else about each. No error contains any of the link's text.
var (
	// ErrNotLink says that a text is no pttnode link, or is one that no version
	// of pttnode makes.
	ErrNotLink = errors.New("invite: not a pttnode link")
	// ErrIncomplete says that a link was not copied completely, or mistyped.
	ErrIncomplete = errors.New("invite: the link is incomplete")
	// ErrNewer says that a newer version made the link.
	ErrNewer = errors.New("invite: a newer version made the link")
	// ErrKind says that a link's prefix and body name different kinds.
	ErrKind = errors.New("invite: the link's prefix and body disagree")
	// ErrSeveral says that a text holds links that differ.
	ErrSeveral = errors.New("invite: more than one link")
	// ErrOwn says that the reader's own device or another of its user's made the
	// link.
	ErrOwn = errors.New("invite: the link is your own")
	// ErrOptions says that no link may be made as asked.
	ErrOptions = errors.New("invite: no such link")
)

// FlagAuto in Link.Flags says that the issuer approves by itself.
const FlagAuto uint8 = 1

// Link is what a link says, parsed. Whoever holds one may use it, so it prints
// as its kind and issuer only, under every verb, in JSON and in logs.
type Link struct {
	Kind    entity.Kind // Friend, Board, or Me for a device link
	Flags   uint8       // FlagAuto
	Uses    uint8       // 1 to 100
	Expires time.Time   // whole seconds, UTC; the issuer's clock decides
	EID16   [16]byte    // first 16 bytes of eid; of the user id for friend and device links
	Issuer  keys.ID     // the device that made the link and alone carries it out
	Bound   *[16]byte   // first 16 bytes of the only user id that may use it, or nil
	Addrs   []Addr      // at most 2
	Cert    *[32]byte   // SHA-256 of a WebRTC certificate of the issuer, or nil; kept, and ignored by this version
	Name    string      // a claim, at most 16 bytes of UTF-8

	// A function, because fmt does not call Format on a Link in an unexported
	// field of another struct, nor after a wrong verb: it then prints an address.
	secret func() [16]byte
}

// Options is what the maker of a link chooses.
type Options struct {
	Expires time.Time
	Uses    uint8        // 0 is 1
	Auto    bool         // approve without asking
	Bound   *keys.Digest // the only user who may use it, or nil
	Addrs   []Addr       // the first 2 are taken
	Name    string       // the issuer's; what is over 16 bytes is cut off
}

// Check says whether a link of kind may be made with o at now: 1 to 100 uses, a
// life up to MaxLife, and approved automatically only for a board or for a bound
// friend, never for a device. It fails with ErrOptions.
func (o Options) Check(kind entity.Kind, now time.Time) error {
	switch life := o.Expires.Sub(now); {
	case kindWord(kind) == "":
		return fmt.Errorf("%w: of kind %v", ErrOptions, kind)
	case o.Uses > MaxUses:
		return fmt.Errorf("%w: %d uses, the most are %d", ErrOptions, o.Uses, MaxUses)
	case life <= 0:
		return fmt.Errorf("%w: it would be over already", ErrOptions)
	case life > MaxLife(kind):
		return fmt.Errorf("%w: a link of this kind lives for %d days at most", ErrOptions, MaxLife(kind)/(24*time.Hour))
	case o.Bound != nil && kind == entity.Me:
		return fmt.Errorf("%w: a device link is for no user, since a new device has none", ErrOptions)
	case o.Auto && kind == entity.Me:
		return fmt.Errorf("%w: a device is never approved automatically", ErrOptions)
	case o.Auto && kind == entity.Friend && o.Bound == nil:
		return fmt.Errorf("%w: a friend is approved automatically only when the link is for one user", ErrOptions)
	}
	return nil
}

// New makes a link with a fresh random secret. eid is the board, or the issuer's
// user for friend and device links. The caller has asked Options.Check; New
// panics for options that no body can hold.
func New(kind entity.Kind, eid keys.Digest, issuer keys.ID, opt Options) Link {
	l := Link{
		Kind:    kind,
		Uses:    max(opt.Uses, 1),
		Expires: opt.Expires.Truncate(time.Second).UTC(),
		EID16:   [16]byte(eid[:16]),
		Issuer:  issuer,
		Addrs:   slices.Clone(opt.Addrs[:min(len(opt.Addrs), MaxAddrs)]),
		Name:    clip(strings.ToValidUTF8(opt.Name, ""), MaxLinkName),
		secret:  randomSecret(),
	}
	if opt.Auto {
		l.Flags = FlagAuto
	}
	if opt.Bound != nil {
		l.Bound = new([16]byte(opt.Bound[:16]))
	}
	if err := l.valid(); err != nil {
		panic("invite: New: " + err.Error())
	}
	return l
}

// Keys derives the keys of the invite. Kind, entity and issuer are in the salt:
// a link in which one of them was changed names an invite that does not exist.
// It panics for the zero Link.
func (l Link) Keys() keys.Invite {
	return keys.DeriveInvite(
		keys.Hash(keys.LabelInvite, []byte{version}, []byte{uint8(l.Kind)}, l.EID16[:], l.Issuer[:]),
		l.Secret(),
	)
}

// Secret returns the link's secret; the zero Link has none.
func (l Link) Secret() [16]byte {
	if l.secret == nil {
		return [16]byte{}
	}
	return l.secret()
}

func randomSecret() func() [16]byte {
	var s [16]byte
	_, _ = rand.Read(s[:]) // never fails since Go 1.24
	return func() [16]byte { return s }
}

// Auto reports whether the issuer says it approves by itself.
func (l Link) Auto() bool { return l.Flags&FlagAuto != 0 }

// CheckOwn fails with ErrOwn when one of devices made the link.
func (l Link) CheckOwn(devices ...keys.ID) error {
	if slices.Contains(devices, l.Issuer) {
		return ErrOwn
	}
	return nil
}

// Fit returns the link made small enough for a picture: while its body is over
// MaxQR bytes it drops the certificate hash, then the name, then the second
// address. The hash goes first, since beside an address it never fits, and without
// one it is of no use. It is the same invite. A long DNS name can keep a link over
// MaxQR; that link is text only.
func (l Link) Fit() Link {
	if len(l.Body()) > MaxQR {
		l.Cert = nil
	}
	if len(l.Body()) > MaxQR {
		l.Name = ""
	}
	if len(l.Addrs) > 1 && len(l.Body()) > MaxQR {
		l.Addrs = l.Addrs[:1:1]
	}
	return l
}

// String returns the link's kind and issuer and is safe to log.
func (l Link) String() string { return linkWord(l.Kind) + " link by " + l.Issuer.String() }

// Format prints what String returns, whatever the verb.
func (l Link) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, l.String()) }

// MarshalText returns what String returns, so that JSON and log/slog redact too.
func (l Link) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// kindWord returns the word of a kind in links, or "" for a kind that has none.
func kindWord(k entity.Kind) string {
	switch k {
	case entity.Friend:
		return "friend"
	case entity.Board:
		return "board"
	case entity.Me:
		return "device" // on screens a person adds a device, not an entity called Me
	}
	return ""
}

func linkWord(k entity.Kind) string {
	if w := kindWord(k); w != "" {
		return w
	}
	return k.String()
}
