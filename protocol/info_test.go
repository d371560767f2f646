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
		Approvals: []InfoApproval{{Entity: keys.Digest{1}, Admit: keys.Digest{2}, Logs: [][]byte{{3}}, Box: []byte{4}, Heads: []keys.Digest{{7}}, Ops: 1, Bytes: 9}},
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
	for _, b := range append(meInfos(keys.Digest{7}), infoBody(keys.Digest{7})) {
		raw := keys.Marshal(SignInfo(rita.key, mia.id(), b))
		open := func(raw []byte) error {
			m, err := DecodeInfo(raw)
			if err != nil {
				return err
			}
			_, err = m.Open(rita.id(), mia.id(), b.Step)
			return err
		}
		if err := open(raw); err != nil {
			t.Fatalf("step %d: %v", b.Step, err)
		}
		for at := range raw {
			for _, x := range flips(at) {
				raw[at] ^= x
				if open(raw) == nil {
					t.Errorf("step %d: byte %d ^ %#x opens", b.Step, at, x)
				}
				raw[at] ^= x
			}
			if err := open(raw[:at]); !errors.Is(err, ErrFrame) {
				t.Errorf("step %d: %d bytes: %v, want ErrFrame", b.Step, at, err)
			}
		}
	}
}

// meInfos are the messages between two devices of a user, in their order.
func meInfos(me keys.Digest) []InfoBody {
	approval := infoBody(me).Approvals[0]
	var approvals []InfoApproval
	for _, k := range []entity.Kind{entity.Me, entity.Profile, entity.Board} {
		approval.Kind = k
		approvals = append(approvals, approval)
	}
	none, ops := []InfoApproval{}, [][]byte{}
	return []InfoBody{
		{In: me, Step: InitMeInfo, Approvals: none, Ops: ops, Addrs: []byte{}},
		{In: me, Step: InitMeInfoAck, Approvals: none, Ops: ops, Addrs: []byte{}, Status: LinkPending},
		{In: me, Step: InitMeInfoSync, Approvals: approvals, Ops: ops, Addrs: []byte{}},
		{In: me, Step: InitMeInfoAck, Approvals: none, Ops: ops, Addrs: []byte{}, Status: LinkSync},
		{In: me, Step: InitMeInfoAck, Approvals: none, Ops: ops, Addrs: []byte{}, Status: LinkAlive},
	}
}

// TestInfoMe: each step between own devices opens as that step, for the device it was
// signed for, and says the status that it was given.
func TestInfoMe(t *testing.T) {
	rita, mia := newDevice("rita"), newPerson(t, "mia")
	steps := []InfoStep{InitFriendInfo, InitFriendInfoAck, InitMeInfo, InitMeInfoAck, InitMeInfoSync}
	for n, b := range meInfos(mia.user()) {
		from, to := mia, rita // M asks and hands over, R answers
		if b.Step == InitMeInfoAck {
			from, to = rita, mia
		}
		m, err := DecodeInfo(keys.Marshal(SignInfo(from.key, to.id(), b)))
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range steps {
			got, err := m.Open(from.id(), to.id(), step)
			if step == b.Step && (err != nil || !cmp.Equal(got, b)) {
				t.Errorf("message %d: %v\n%s", n, err, cmp.Diff(b, got))
			}
			if step != b.Step && !errors.Is(err, keys.ErrSignature) {
				t.Errorf("message %d as step %d: %v, want a bad signature", n, step, err)
			}
		}
		if _, err := m.Open(to.id(), from.id(), b.Step); !errors.Is(err, keys.ErrSignature) {
			t.Errorf("message %d reflected: %v, want a bad signature", n, err)
		}
		other := b
		other.Status = LinkAlive
		if m.Body = keys.Marshal(other); b.Status == LinkAlive {
			continue
		}
		if _, err := m.Open(from.id(), to.id(), b.Step); !errors.Is(err, keys.ErrSignature) {
			t.Errorf("message %d with another status: %v, want a bad signature", n, err)
		}
	}
	for s, want := range map[LinkStatus]string{
		LinkInit: "init", LinkPending: "internal_pending", LinkSync: "sync", LinkAlive: "alive", 0: "status(0)", 5: "status(5)",
	} {
		if s.String() != want {
			t.Errorf("status %d is %q, want %q", s, s.String(), want)
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
	sealed, err := SealApproval(box.ID(), friend, e, from, to, BoxBody{Keys: ring})
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
	if _, err := SealApproval(keys.BoxID{}, friend, e, from, to, BoxBody{Keys: ring}); !errors.Is(err, keys.ErrBox) {
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
