package entity

import (
	"fmt"

	"pttnode/oplog"
)

// typeNames are the words of the types whose bodies this version knows.
var typeNames = map[typeKey]string{
	{oplog.FamilyGenesis, TypeGenesis}: "genesis", {oplog.FamilyMaster, TypeMasterAdd}: "add",
	{oplog.FamilyMember, TypeAdmit}: "admit", {oplog.FamilyMember, TypeLeave}: "leave",
	{oplog.FamilyMember, TypeDevices}: "devices", {oplog.FamilyMember, TypeAccept}: "accept",
	{oplog.FamilyMaster, TypeMasterRemove}: "remove", {oplog.FamilyMaster, TypeMasterTransfer}: "transfer",
	{oplog.FamilyMember, TypeRemove}: "remove", {oplog.FamilyMember, TypeRole}: "role",
	{oplog.FamilyMember, TypeDeviceAdd}: "device-add", {oplog.FamilyMember, TypeDeviceClass}: "device-class",
	{oplog.FamilyOpKey, TypeEpoch}: "epoch", {oplog.FamilyPolicy, TypeJoinPolicy}: "join",
	{oplog.FamilyPolicy, TypeHistory}: "history", {oplog.FamilyPolicy, TypeTitle}: "title",
	{oplog.FamilyPolicy, TypeDescription}: "description", {oplog.FamilyPolicy, TypeEnd}: "end",
	{oplog.FamilyPolicy, TypeMerged}: "merged", {oplog.FamilyCheckpoint, TypeCheckpoint}: "checkpoint",
	{oplog.FamilyCheckpoint, TypeAck}: "ack", {oplog.FamilyArticle, TypeArticleNew}: "new",
	{oplog.FamilyProfile, TypeProfileSet}: "set", {oplog.FamilyMe, TypeJoined}: "joined", {oplog.FamilyMe, TypeLeft}: "left",
	{oplog.FamilyMe, TypeRead}: "read", {oplog.FamilyMe, TypeDecision}: "decision", {oplog.FamilyMe, TypeSetting}: "setting",
	{oplog.FamilyMe, TypeRequest}:          "request",
	{oplog.FamilyArticle, TypeArticleEdit}: "edit", {oplog.FamilyArticle, TypeArticleDelete}: "delete",
	{oplog.FamilyComment, TypeCommentNew}: "new", {oplog.FamilyComment, TypeCommentDelete}: "delete",
}

// Describe returns an operation's body and the word of its type, for people and
// programs that look at a log. The body is nil when it cannot be read, or is of
// an unknown type. Keys inside the me-oplog are left out.
func (e *Entity) Describe(o oplog.Op, ring Keyring) (body any, typ string) {
	key := typeKey{o.Family(), o.Type()}
	typ, ok := typeNames[key]
	if !ok {
		typ = fmt.Sprintf("type(%d)", o.Type())
	}
	if o.Strand() == oplog.Control {
		body, _, _ = decodeBody(o)
		return body, typ
	}
	switch {
	case o.Family() == oplog.FamilyArticle || o.Family() == oplog.FamilyComment:
		body = boardBody(o)
	case key == typeKey{oplog.FamilyProfile, TypeProfileSet}:
		body = new(ProfileSet)
	case o.Family() == oplog.FamilyMe:
		body = meBody(o.Type())
	}
	if body == nil {
		return nil, typ
	}
	if err := e.Read(o, ring, body); err != nil {
		return nil, typ
	}
	if j, ok := body.(*Joined); ok {
		j.Keys, j.Addrs = nil, nil
	}
	return body, typ
}
