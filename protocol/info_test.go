package protocol

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pttnode/entity"
	"pttnode/keys"
)

func infoBody(f keys.Digest) InfoBody {
	return InfoBody{
		In: f, Step: InitFriendInfo,
		Approvals: []InfoApproval{{Entity: keys.Digest{1}, Admit: keys.Digest{2}, Logs: [][]byte{{3}}, Box: []byte{4}}},
		Ops:       [][]byte{{5}}, Addrs: []byte{6},
	}
}

// TestInfo: an info message opens for whom it was signed, as what it was signed,
// and not otherwise.
func TestInfo(t *testing.T) {
	rita, mia, mallory := newPerson(t, "rita"), newPerson(t, "mia"), newPerson(t, "mallory")
	b := infoBody(keys.Digest{7})
	m := SignInfo(rita.key, mia.id(), b)
	decoded, err := DecodeInfo(keys.Marshal(m))
	if err != nil {
		t.Fatal(err)
	}
	got, err := decoded.Open(rita.id(), mia.id(), InitFriendInfo)
	if err != nil || !cmp.Equal(got, b) {
		t.Fatalf("Open: %v\n%s", err, cmp.Diff(b, got))
	}

	for name, c := range map[string]struct {
		from, to keys.ID
		step     InfoStep
		change   func(*Info)
	}{
		"from another":           {mallory.id(), mia.id(), InitFriendInfo, nil},
		"to another":             {rita.id(), mallory.id(), InitFriendInfo, nil},
		"reflected to its maker": {mia.id(), rita.id(), InitFriendInfo, nil},
		"as the other step":      {rita.id(), mia.id(), InitFriendInfoAck, nil},
		"another body":           {rita.id(), mia.id(), InitFriendInfo, func(m *Info) { m.Body = keys.Marshal(infoBody(keys.Digest{8})) }},
		"no signature":           {rita.id(), mia.id(), InitFriendInfo, func(m *Info) { m.Sig = keys.Signature{} }},
		"signed as something else": {rita.id(), mia.id(), InitFriendInfo, func(m *Info) {
			d := infoDigest(rita.id(), mia.id(), InitFriendInfo, m.Body)
			m.Sig = rita.key.Sign(keys.PurposeApply, d[:])
		}},
	} {
		m := m
		if c.change != nil {
			c.change(&m)
		}
		if _, err := m.Open(c.from, c.to, c.step); !errors.Is(err, keys.ErrSignature) {
			t.Errorf("%s: %v, want a bad signature", name, err)
		}
	}

	// The signer says one step outside and another inside, or no body at all.
	sign := func(step InfoStep, raw []byte) Info {
		d := infoDigest(rita.id(), mia.id(), step, raw)
		return Info{Body: raw, Sig: rita.key.Sign(keys.PurposeInfo, d[:])}
	}
	if _, err := sign(InitFriendInfoAck, m.Body).Open(rita.id(), mia.id(), InitFriendInfoAck); !errors.Is(err, ErrUnexpected) {
		t.Errorf("another step inside: %v, want ErrUnexpected", err)
	}
	if _, err := sign(InitFriendInfo, withField(m.Body)).Open(rita.id(), mia.id(), InitFriendInfo); !errors.Is(err, ErrFrame) {
		t.Errorf("a body with key 23: %v, want ErrFrame", err)
	}
	if _, err := sign(InitFriendInfo, nil).Open(rita.id(), mia.id(), InitFriendInfo); !errors.Is(err, ErrFrame) {
		t.Errorf("no body: %v, want ErrFrame", err)
	}
}

// TestInfoTampering: every byte of the message, and every prefix.
func TestInfoTampering(t *testing.T) {
	rita, mia := newPerson(t, "rita"), newPerson(t, "mia")
	raw := keys.Marshal(SignInfo(rita.key, mia.id(), infoBody(keys.Digest{7})))
	open := func(b []byte) error {
		m, err := DecodeInfo(b)
		if err != nil {
			return err
		}
		_, err = m.Open(rita.id(), mia.id(), InitFriendInfo)
		return err
	}
	if err := open(raw); err != nil {
		t.Fatal(err)
	}
	for at := range raw {
		for _, x := range flips(at) {
			raw[at] ^= x
			if open(raw) == nil {
				t.Errorf("byte %d ^ %#x opens", at, x)
			}
			raw[at] ^= x
		}
		if err := open(raw[:at]); !errors.Is(err, ErrFrame) {
			t.Errorf("%d bytes: %v, want ErrFrame", at, err)
		}
	}
}

// TestInfoBox: an approval's keys open for the one box key, friendship, entity
// and pair of devices they were sealed for.
func TestInfoBox(t *testing.T) {
	friend, e := keys.Digest{1}, keys.Digest{2}
	from, to := newPerson(t, "rita").id(), newPerson(t, "mia").id()
	box := keys.NewBox()
	ring := []entity.EpochKey{{Epoch: keys.Digest{3}, Key: [32]byte{4}}}
	sealed, err := SealApproval(box.ID(), friend, e, from, to, ring)
	if err != nil {
		t.Fatal(err)
	}
	got, err := OpenApproval(box, friend, e, from, to, sealed)
	if err != nil || !cmp.Equal(got.Keys, ring) {
		t.Fatalf("OpenApproval: %+v, %v", got, err)
	}
	for name, c := range map[string]struct {
		box       keys.BoxKey
		friend, e keys.Digest
		from, to  keys.ID
	}{
		"another box key":     {keys.NewBox(), friend, e, from, to},
		"another friendship":  {box, keys.Digest{9}, e, from, to},
		"another entity":      {box, friend, keys.Digest{9}, from, to},
		"from another device": {box, friend, e, keys.ID{9}, to},
		"to another device":   {box, friend, e, from, keys.ID{9}},
		"reflected":           {box, friend, e, to, from},
	} {
		if _, err := OpenApproval(c.box, c.friend, c.e, c.from, c.to, sealed); !errors.Is(err, keys.ErrBox) {
			t.Errorf("%s: %v, want ErrBox", name, err)
		}
	}
	for at := range sealed {
		sealed[at] ^= 1
		if _, err := OpenApproval(box, friend, e, from, to, sealed); !errors.Is(err, keys.ErrBox) {
			t.Errorf("byte %d: %v, want ErrBox", at, err)
		}
		sealed[at] ^= 1
	}
	if _, err := SealApproval(keys.BoxID{}, friend, e, from, to, ring); !errors.Is(err, keys.ErrBox) {
		t.Errorf("to no key: %v, want ErrBox", err)
	}
	bad, err := box.ID().Seal(infoBoxInfo(friend, e, from, to), []byte{0xff})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenApproval(box, friend, e, from, to, bad); !errors.Is(err, ErrFrame) {
		t.Errorf("a box of something else: %v, want ErrFrame", err)
	}
}
