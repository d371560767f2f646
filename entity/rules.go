package entity

// rules is what makes one kind differ from another (docs/PROTOCOL.md §2.5).
type rules struct {
	members   int    // greatest number of members, the founder included
	roles     []Role // roles that an admit may give
	writes    Role   // least role that writes content
	addMaster bool   // further masters may be added
	policy    bool   // has a title and a join policy
	accept    bool   // the admitted party must consent
	person    bool   // approval is a person's unless the link is bound to a user
}

var ruleOf = map[Kind]rules{
	Me:      {members: 1, writes: Master, person: true},
	Profile: {members: 10_000, roles: []Role{Reader}, writes: Master},
	Friend:  {members: 2, roles: []Role{Member}, writes: Member, addMaster: true, accept: true, person: true},
	Board:   {members: 10_000, roles: []Role{Reader, Member}, writes: Member, addMaster: true, policy: true},
}

// NeedsPerson reports whether joining an entity of kind k is a person's decision
// even where the link says otherwise, unless it is bound to one user.
func NeedsPerson(k Kind) bool { return ruleOf[k].person }
