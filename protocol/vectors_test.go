package protocol

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"

	"github.com/google/go-cmp/cmp"

	"pttnode/entity"
	"pttnode/entity/chain"
	"pttnode/invite"
	"pttnode/keys"
)

var update = flag.Bool("update", false, "rewrite testdata/vectors.json")

// hexed is bytes that are hexadecimal in JSON.
type hexed []byte

func (h hexed) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *hexed) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

// vector is one join with all that lies between its inputs and its bytes: enough
// to write a second implementation from docs/PROTOCOL.md alone.
type vector struct {
	Name string `json:"name"`

	// Inputs.
	Time            string `json:"time"`
	IssuerSeed      hexed  `json:"issuer_device_seed"`
	RequesterSeed   hexed  `json:"requester_device_seed"`
	IssuerChain     hexes  `json:"issuer_device_chain"`
	RequesterChain  hexes  `json:"requester_device_chain"`
	Secret          hexed  `json:"link_secret"`
	JoinBoxSecret   hexed  `json:"join_box_secret"`
	Nonce           hexed  `json:"requester_nonce"`
	OpKey           hexed  `json:"op_key"`
	Epoch           hexed  `json:"epoch"`
	Link            string `json:"link"`
	LinkQR          string `json:"link_qr"`
	IssuerUser      hexed  `json:"issuer_user"`
	RequesterUser   hexed  `json:"requester_user"`
	IssuerDevice    hexed  `json:"issuer_device"`
	RequesterDevice hexed  `json:"requester_device"`

	// The invite.
	IID   hexed `json:"iid"`
	Ref   hexed `json:"ref"`
	PKInv hexed `json:"pk_inv"`
	KV    hexed `json:"k_v"`

	// The run.
	T0         hexed  `json:"t0"`
	Commitment hexed  `json:"com"`
	Join       hexed  `json:"frame_1_join"`
	T1         hexed  `json:"t1"`
	AckSigned  hexed  `json:"signed_by_ack"`
	Ack        hexed  `json:"frame_2_ack_challenge"`
	T2         hexed  `json:"t2"`
	CodeID     hexed  `json:"sasid"`
	Code       string `json:"sas"`
	Policy     hexed  `json:"policy_hash"`
	ReqSigned  hexed  `json:"signed_by_join_entity"`
	Request    hexed  `json:"frame_3_join_entity"`
	T3         hexed  `json:"t3"`
	JoinID     hexed  `json:"joinid"`
	Pending    hexed  `json:"frame_4_approve_join_pending"`
	BoxInfo    hexed  `json:"box_info"`
	BoxPlain   hexed  `json:"box_plaintext"`
	Approved   hexed  `json:"frame_4_approve_join_approved"`
	Denied     hexed  `json:"frame_4_approve_join_denied"`
	Entity     hexed  `json:"entity"`
	AdmitOp    hexed  `json:"admit_op"`
	AdmitID    hexed  `json:"admit_op_id"` // of a device join the device-add

	// A device join only.
	DeviceBoxSecret hexed `json:"device_box_secret,omitempty"`
	DeviceBox       hexed `json:"device_box,omitempty"`
	ConsentSigned   hexed `json:"signed_by_consent,omitempty"`
	Consent         hexed `json:"consent,omitempty"`

	// The same link with the hash of a WebRTC certificate, which no node makes yet.
	Cert     hexed  `json:"certificate_hash"`
	LinkCert string `json:"link_with_certificate_hash"`
}

type hexes []hexed

func hexesOf(raws [][]byte) hexes {
	out := make(hexes, len(raws))
	for i, raw := range raws {
		out[i] = raw
	}
	return out
}

// makeVector runs a join with fixed keys and a fixed clock.
func makeVector(t *testing.T, kind entity.Kind) vector {
	t.Helper()
	cryptotest.SetGlobalRandom(t, uint64(kind))
	w := newWorld(t, kind, invite.Options{Addrs: []invite.Addr{address(t)}})
	x := w.run(t)
	seedM, seedR, box, secret := w.m.key.Secret(), w.r.key.Secret(), x.j.box.Secret(), w.m.link.Secret()
	v := vector{
		Name: kind.String(), Time: dawn.Format("2006-01-02T15:04:05Z07:00"),
		IssuerSeed: seedM[:], RequesterSeed: seedR[:], Secret: secret[:], JoinBoxSecret: box[:],
		IssuerChain: hexesOf(w.m.me.DeviceChain()), RequesterChain: hexes{},
		Link: w.m.link.URL(), LinkQR: w.m.link.QR(),
		IssuerUser: digest(w.m.user()), RequesterUser: hexed{}, IssuerDevice: id(w.m.id()), RequesterDevice: id(w.r.id()),
		IID: w.m.rec.IID[:], Ref: w.m.rec.Ref[:], PKInv: id(w.m.rec.PK), KV: hexed(w.m.rec.MAC),
		JoinID: digest(invite.JoinID(w.m.rec.Ref, w.r.user(), w.r.id())),
	}
	if kind == entity.Me {
		secret := w.r.box.Secret()
		v.Name, v.DeviceBoxSecret, v.DeviceBox = "device", secret[:], boxID(w.r.box.ID())
	} else {
		v.RequesterChain, v.RequesterUser = hexesOf(w.r.me.DeviceChain()), digest(w.r.user())
	}
	with := w.m.link
	with.Cert = new(certificate)
	v.Cert, v.LinkCert = with.Cert[:], with.URL()
	v.T0 = digest(keys.Digest(newTranscript(w.r.id(), w.m.id(), kind, w.m.rec.IID)))

	x.toJoin()
	v.Nonce, v.Join, v.Commitment, v.T1 = x.j.nonce[:], Encode(x.join), digest(x.join.Commitment), digest(x.j.t.digest())
	x.ack = sent[AckChallenge](t, x.stepI(x.join))
	v.Ack, v.T2 = Encode(x.ack), digest(x.i.t.digest())
	v.AckSigned = digest(x.j.t.with(TypeAckChallenge, x.ack.Body).digest())
	eff := x.stepJ(x.ack)
	x.request = sent[JoinEntity](t, x.stepJ(x.r.commit(eff.Commit)))
	v.ReqSigned = digest(x.i.t.with(TypeJoinEntity, x.request.Body).digest())
	v.Request, v.T3 = Encode(x.request), digest(x.j.t.digest())
	b := body[JoinBody](t, x.request.Body)
	if v.Policy = b.PolicyHash; kind == entity.Me {
		v.ConsentSigned, v.Consent = chain.Consent(w.m.user(), w.r.id(), w.r.box.ID()), b.Consent[:]
	}
	v.CodeID, v.Code = digest(x.r.attempt.Codes[0].CodeID), x.r.attempt.Codes[0].Code
	pending := x.answer()
	v.Pending = Encode(pending)
	i := *x.i
	eff, err := i.Step(w.now, Refused{invite.RefusedRejected})
	if err == nil {
		t.Fatal("Refused while a person is asked")
	}
	i = *x.i
	claim := *w.m.rec.Claims[0]
	claim.State, claim.Reason = invite.Denied, invite.RefusedRejected
	if eff, err = i.Step(w.now, Decided{Claim: claim}); err != nil {
		t.Fatal(err)
	}
	v.Denied = Encode(sent[ApproveJoin](t, eff))

	x.stepJ(x.r.commit(x.stepJ(pending).Commit))
	approved := x.approve()
	v.Approved, v.BoxInfo = Encode(approved), digest(boxInfo(x.j.t))
	a := body[ApproveBody](t, approved.Body)
	if v.BoxPlain, err = x.j.box.Open(boxInfo(x.j.t), a.Box); err != nil {
		t.Fatal(err)
	}
	ring := body[BoxBody](t, v.BoxPlain).Keys
	v.Epoch, v.OpKey = digest(ring[0].Epoch), ring[0].Key[:]
	v.Entity, v.AdmitID = digest(*a.Entity), digest(*a.Admit)
	joined := x.wantJoined(approved)
	op, _ := joined.Entity.Log().Get(*a.Admit)
	v.AdmitOp = op.Envelope()
	return v
}

func digest(d keys.Digest) hexed { return d[:] }
func id(i keys.ID) hexed         { return i[:] }
func boxID(i keys.BoxID) hexed   { return i[:] }

// certificate stands for a hash; any 32 bytes do.
var certificate = [32]byte([]byte("SHA-256 of an issuer certificate"))

func address(t testing.TB) invite.Addr {
	t.Helper()
	a, err := invite.ParseAddr("/ip4/192.0.2.1/udp/4001/quic-v1")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestVectors makes each join again and compares every value.
func TestVectors(t *testing.T) {
	const file = "testdata/vectors.json"
	got := []vector{makeVector(t, entity.Board), makeVector(t, entity.Friend), makeVector(t, entity.Me)}
	if *update {
		b, err := json.MarshalIndent(got, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var want []vector
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the protocol or the way Go draws randomness changed (-file +now):\n%s", d)
	}
}

// linkBody decodes the base32 of a link.
func linkBody(t *testing.T, link string) []byte {
	t.Helper()
	_, text, _ := strings.Cut(link, "/")
	b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestVectorsByHand computes what is hashed from the bytes alone, as a second
// implementation would, so that a mistake in both sides' common code shows.
func TestVectorsByHand(t *testing.T) {
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vs []vector
	if err := json.Unmarshal(raw, &vs); err != nil {
		t.Fatal(err)
	}
	lpBytes := func(parts ...[]byte) []byte {
		var b []byte
		for _, p := range parts {
			b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
			b = append(b, p...)
		}
		return b
	}
	lp := func(parts ...[]byte) []byte {
		sum := sha256.Sum256(lpBytes(parts...))
		return sum[:]
	}
	payload := func(frame hexed) []byte {
		_, k := binary.Uvarint(frame)
		return frame[k+1:]
	}
	kind := map[string][]byte{"board": {4}, "friend": {3}, "device": {1}}
	for _, v := range vs {
		var req JoinEntity
		if err := keys.Unmarshal(payload(v.Request), &req); err != nil {
			t.Fatal(err)
		}
		b := body[JoinBody](t, req.Body)
		com := [][]byte{b.Nonce[:], v.RequesterUser, v.RequesterDevice, b.Box[:]}
		sas := append([][]byte{[]byte("ptt/sas/1"), v.T2}, com...)
		for _, c := range []struct {
			name      string
			got, want []byte
		}{
			{"t0", lp([]byte("ptt/join/1"), v.RequesterDevice, v.IssuerDevice, kind[v.Name], v.IID), v.T0},
			{"com", lp(append([][]byte{[]byte("ptt/com/1")}, com...)...), v.Commitment},
			{"t1", lp(v.T0, []byte{1}, payload(v.Join)), v.T1},
			{"t2", lp(v.T1, []byte{2}, payload(v.Ack)), v.T2},
			{"t3", lp(v.T2, []byte{3}, payload(v.Request)), v.T3},
			{"sasid", lp(append([][]byte{[]byte("ptt/sasid/1"), v.T2}, com...)...), v.CodeID},
			{"box info", lp([]byte("ptt/apr/1"), v.T3), v.BoxInfo},
			{"joinid", lp([]byte("ptt/joinid/1"), v.Ref, v.RequesterUser, v.RequesterDevice), v.JoinID},
		} {
			if !bytes.Equal(c.got, c.want) {
				t.Errorf("%s %s: %x by hand, %x in the file", v.Name, c.name, c.got, c.want)
			}
		}
		if got := keys.SafetyCode(keys.Digest(lp(sas...))); got != v.Code {
			t.Errorf("%s code: %s by hand, %s in the file", v.Name, got, v.Code)
		}
		l, err := invite.Parse(v.Link)
		if err != nil {
			t.Fatal(err)
		}
		if k := l.Keys(); !bytes.Equal(k.IID[:], v.IID) || !bytes.Equal(k.Ref[:], v.Ref) {
			t.Errorf("%s: the link names another invite", v.Name)
		}
		// The certificate's part stands before the name; the checksum is of all before it.
		bare, with := linkBody(t, v.Link), linkBody(t, v.LinkCert)
		parts := bare[:len(bare)-4-len(l.Name)-1]
		byHand := slices.Concat(parts, []byte{8}, v.Cert, bare[len(parts):len(bare)-4])
		sum := sha256.Sum256(byHand)
		if byHand = append(byHand, sum[:4]...); !bytes.Equal(with, byHand) {
			t.Errorf("%s with a certificate: % x by hand, % x in the file", v.Name, byHand, with)
		}
		if got, err := invite.Parse(v.LinkCert); err != nil || got.URL() != v.LinkCert || got.Keys().IID != l.Keys().IID {
			t.Errorf("%s with a certificate: %v, or another invite", v.Name, err)
		}
		if v.Name == "device" {
			signed := lpBytes([]byte("ptt/device/1"), lpBytes(v.IssuerUser, v.RequesterDevice, v.DeviceBox))
			if !ed25519.Verify(ed25519.PublicKey(v.RequesterDevice), signed, v.Consent) {
				t.Error("device: the consent does not verify by hand")
			}
			if len(b.User) != 0 || len(b.Chain) != 0 || !bytes.Equal(b.DeviceBox[:], v.DeviceBox) || !bytes.Equal(b.Consent[:], v.Consent) {
				t.Errorf("device: frame 3 shows %+v", b)
			}
		}
		if sum := sha256.Sum256(v.AdmitOp); !bytes.Equal(sum[:], v.AdmitID) {
			t.Errorf("%s: the admit's id is %x", v.Name, sum)
		}
	}
}
