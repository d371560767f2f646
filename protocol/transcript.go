package protocol

import (
	"pttnode/entity"
	"pttnode/keys"
)

// transcript is the running hash t_i of docs/PROTOCOL.md §5.1. It begins with what
// each side sees of the other on its own connection, so a message can be taken
// neither to another connection nor to another invite.
type transcript keys.Digest

func newTranscript(requester, issuer keys.ID, kind entity.Kind, iid [16]byte) transcript {
	return transcript(keys.Hash(keys.LabelJoin, requester[:], issuer[:], []byte{byte(kind)}, iid[:]))
}

// with returns H(t, type, bytes): the next t, and what a signature inside the
// message of that type covers when bytes is the signed part.
func (t transcript) with(typ Type, parts ...[]byte) transcript {
	return transcript(keys.HashUnlabelled(append([][]byte{t[:], {byte(typ)}}, parts...)...))
}

// digest returns t as what is signed.
func (t transcript) digest() keys.Digest { return keys.Digest(t) }

// commitment is com: R's nonce, user, device and join box key.
func commitment(nonce [32]byte, user []byte, device keys.ID, box keys.BoxID) keys.Digest {
	return keys.Hash(keys.LabelCommit, nonce[:], user, device[:], box[:])
}

// safetyCode returns the six digits of a run and the id that names them. It
// takes t2 and the opened commitment and nothing that a side may still vary
// after it saw the other's contribution (docs/PROTOCOL.md §5.3).
func safetyCode(t2 transcript, nonce [32]byte, user []byte, device keys.ID, box keys.BoxID) (id keys.Digest, code string) {
	parts := [][]byte{t2[:], nonce[:], user, device[:], box[:]}
	return keys.Hash(keys.LabelCodeID, parts...), keys.SafetyCode(keys.Hash(keys.LabelCode, parts...))
}

// boxInfo binds the sealed part of an approval to its run.
func boxInfo(t3 transcript) keys.Digest { return keys.Hash(keys.Label(keys.PurposeApply), t3[:]) }
