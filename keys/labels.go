package keys

// Purpose says what a signature is for. It is the first part of what is signed,
// so a signature never verifies under another purpose.
type Purpose string

// The purposes of docs/PROTOCOL.md §1.3. Do not change a value: signatures depend
// on it.
const (
	PurposeOp     Purpose = "ptt/op/2"     // an operation of a log
	PurposeAck    Purpose = "ptt/ack/1"    // the issuer answers a challenge
	PurposeInvite Purpose = "ptt/inv/1"    // the requester knows a link's secret
	PurposeDevice Purpose = "ptt/dev/1"    // the requester is this device
	PurposeApply  Purpose = "ptt/apr/1"    // the issuer's decision on a join
	PurposeInfo   Purpose = "ptt/info/1"   // init-friend-info and init-me-info
	PurposeLink   Purpose = "ptt/device/1" // a device consents to be added to Me
	PurposeReset  Purpose = "ptt/reset/1"  // the recovery key resets the device set
	PurposeVote   Purpose = "ptt/vote/2"   // a voter certifies an op of the device chain
	PurposeReady  Purpose = "ptt/ready/1"  // a device is ready to vote, or to survive a RESET
	PurposeWords  Purpose = "ptt/words/1"  // the recovery words are replaced by others
	PurposeMoved  Purpose = "ptt/moved/1"  // the recovery words let a person go on as another
)

// Label separates the domains of hashes and of derived keys.
type Label string

// The labels of docs/PROTOCOL.md §1.2. All labels and purposes of the project
// stand in this file; a test proves them distinct and prefix-free.
const (
	LabelJoin       Label = "ptt/join/1"     // transcript of a join
	LabelCommit     Label = "ptt/com/1"      // the requester's commitment
	LabelCode       Label = "ptt/sas/1"      // input of the safety code
	LabelCodeID     Label = "ptt/sasid/1"    // names a safety code
	LabelJoinID     Label = "ptt/joinid/1"   // names one device's use of one invite
	LabelInvite     Label = "ptt/invite/1"   // salt of an invite's keys
	LabelKey        Label = "ptt/key/1"      // commitment to an op-key
	LabelBoxes      Label = "ptt/boxes/1"    // a blob of op-key boxes
	LabelPolicy     Label = "ptt/policy/1"   // the policy a requester saw
	LabelHeads      Label = "ptt/heads/1"    // a heads vector
	LabelInfo       Label = "ptt/infobody/1" // what an info message signs
	LabelInfoBox    Label = "ptt/infobox/1"  // HPKE info of a box in an info message
	LabelDigest     Label = "ptt/digest/1"   // digest of an entity's state
	LabelRoots      Label = "ptt/roots/2"    // roots of a checkpoint
	LabelContentAAD Label = "ptt/content/2"  // additional data of sealed content
	LabelVault      Label = "ptt/vault/1"    // additional data of a sealed record
	LabelPrint      Label = "ptt/print/1"    // fingerprint shown to people
	LabelRanges     Label = "ptt/ranges/1"   // sum of a range of a log
	LabelShort      Label = "ptt/short/1"    // short name of an op within a reconciliation

	labelIID     Label = "iid"
	labelRef     Label = "ref"
	labelInvSign Label = "inv-sign"
	labelAckMAC  Label = "ack-mac"
	labelSAS     Label = "sas"
	labelTopic   Label = "topic"
	labelContent Label = "content"
	labelHeader  Label = "header"
	labelUserBox Label = "user-box"
)

// Labels returns every label and purpose of the project, for the test that they
// are distinct and prefix-free.
func Labels() []string {
	return []string{
		string(PurposeOp), string(PurposeAck), string(PurposeInvite), string(PurposeDevice), string(PurposeApply),
		string(PurposeInfo), string(PurposeLink), string(PurposeReset), string(PurposeVote),
		string(PurposeReady), string(PurposeWords), string(PurposeMoved),
		string(LabelJoin), string(LabelCommit), string(LabelCode), string(LabelCodeID), string(LabelJoinID),
		string(LabelInvite), string(LabelKey), string(LabelBoxes), string(LabelPolicy), string(LabelHeads),
		string(LabelInfo), string(LabelInfoBox), string(LabelDigest), string(LabelContentAAD), string(LabelVault),
		string(LabelPrint), string(LabelRanges), string(LabelShort), string(LabelRoots),
		string(labelIID), string(labelRef), string(labelInvSign), string(labelAckMAC), string(labelSAS),
		string(labelTopic), string(labelContent), string(labelHeader), string(labelUserBox),
	}
}
