package entity

import (
	"fmt"

	"pttnode/oplog"
)

// typeNames are the words of the control types whose bodies this version knows.
var typeNames = map[typeKey]string{
	{oplog.FamilyGenesis, TypeGenesis}: "genesis", {oplog.FamilyMaster, TypeMasterAdd}: "add",
	{oplog.FamilyMember, TypeAdmit}: "admit", {oplog.FamilyMember, TypeLeave}: "leave",
	{oplog.FamilyMember, TypeDevices}: "devices", {oplog.FamilyMember, TypeAccept}: "accept",
	{oplog.FamilyMaster, TypeMasterRemove}: "remove", {oplog.FamilyMaster, TypeMasterTransfer}: "transfer",
	{oplog.FamilyMember, TypeRemove}: "remove", {oplog.FamilyMember, TypeRole}: "role",
	{oplog.FamilyMember, TypeDeviceAdd}: "device-add", {oplog.FamilyMember, TypeDeviceClass}: "device-class",
	{oplog.FamilyMember, 9}: "device-remove", {oplog.FamilyMember, 11}: "voters", {oplog.FamilyMember, 12}: "anchor",
	{oplog.FamilyMember, 13}: "words", {oplog.FamilyMember, 14}: "moved", {oplog.FamilyMember, 15}: "mend",
	{oplog.FamilyCheckpoint, oplog.TypeReset}: "reset",
	{oplog.FamilyOpKey, TypeEpoch}:            "epoch", {oplog.FamilyPolicy, TypeJoinPolicy}: "join",
	{oplog.FamilyPolicy, TypeHistory}: "history", {oplog.FamilyPolicy, TypeTitle}: "title",
	{oplog.FamilyPolicy, TypeDescription}: "description", {oplog.FamilyPolicy, TypeEnd}: "end",
	{oplog.FamilyPolicy, TypeMerged}: "merged", {oplog.FamilyCheckpoint, TypeCheckpoint}: "checkpoint",
	{oplog.FamilyCheckpoint, TypeAck}: "ack",
}

// ContentType is what is known of one type of content.
type ContentType struct {
	Word string
	Body func() any // a pointer to a zero body; nil for one that has none
	Hide func(any)  // takes from a body what nobody is shown; may be nil
}

// ContentTypes are types of content, by family and type.
type ContentTypes map[oplog.Family]map[uint16]ContentType

// ProfileTypes are the types of content of a Profile.
var ProfileTypes = ContentTypes{oplog.FamilyProfile: {TypeProfileSet: {Word: "set", Body: func() any { return new(ProfileSet) }}}}

// Describe returns an operation's body and the word of its type, for people and
// programs that look at a log; types are those of its content. The body is nil when it
// cannot be read, has none, or is of an unknown type.
func (e *Entity) Describe(o oplog.Op, types ContentTypes, ring Keyring) (body any, word string) {
	if o.Strand() == oplog.Control {
		word, ok := typeNames[typeKey{o.Family(), o.Type()}]
		if !ok {
			word = fmt.Sprintf("type(%d)", o.Type())
		}
		if body, _, _ = decodeBody(o); body != nil {
			if b, ok := body.(*DeviceOp); ok {
				body = b.Body
			}
		}
		return body, word
	}
	t, ok := types[o.Family()][o.Type()]
	if !ok {
		return nil, fmt.Sprintf("type(%d)", o.Type())
	}
	if t.Body == nil {
		return nil, t.Word
	}
	body = t.Body()
	if err := e.Read(o, ring, body); err != nil {
		return nil, t.Word
	}
	if t.Hide != nil {
		t.Hide(body)
	}
	return body, t.Word
}
