package node

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/keys"
)

// InviteOptions is what an invite may say. The zero value of a field means the
// default of its kind.
type InviteOptions struct {
	Kind    string        `json:"kind"` // friend, board, device
	Board   string        `json:"board,omitempty"`
	Uses    int           `json:"uses,omitempty"`
	Expires time.Duration `json:"expires,omitempty"`
	Note    string        `json:"note,omitempty"`
	Auto    bool          `json:"auto_approve,omitempty"`
	For     string        `json:"for,omitempty"`     // a friend's name or a user id: only he may use it
	Role    string        `json:"role,omitempty"`    // boards: member, reader
	History string        `json:"history,omitempty"` // what a newcomer may read of the past: all
	Addrs   []string      `json:"addrs,omitempty"`
}

// LinkView is what a link says, read offline: nothing in it is checked.
type LinkView struct {
	Kind      string    `json:"kind"`
	Name      string    `json:"name"` // claimed
	Issuer    keys.ID   `json:"issuer"`
	ExpiresAt time.Time `json:"expires_at"`
	Uses      int       `json:"uses"`
	Bound     bool      `json:"bound"`
}

// Inspect reads a link and changes nothing.
func (n *Node) Inspect(text string) (LinkView, error) {
	l, err := invite.Parse(text)
	if err != nil {
		return LinkView{}, linkCode(err)
	}
	if err := l.CheckOwn(n.ownDevices()...); err != nil {
		return LinkView{}, linkCode(err)
	}
	return LinkView{
		Kind: linkKind(l.Kind), Name: l.Name, Issuer: l.Issuer, ExpiresAt: l.Expires, Uses: int(l.Uses), Bound: l.Bound != nil,
	}, nil
}

// Invite makes a link. It is durable before it is returned, and this answer is
// the only place where the link ever stands: the record keeps no secret.
func (n *Node) Invite(_ context.Context, o InviteOptions) (InviteView, error) {
	var view InviteView
	err := n.update(func(tx *tx) error {
		l, r, err := tx.newInvite(o)
		if err != nil {
			return err
		}
		tx.record(r)
		tx.event("invite.created", map[string]any{"id": r.ID, "kind": linkKind(r.Kind)})
		view = n.inviteView(r)
		view.Link, view.QR = l.URL(), l.QR()
		return nil
	})
	return view, err
}

func (tx *tx) newInvite(o InviteOptions) (invite.Link, invite.Record, error) {
	n := tx.n
	none := func(err error) (invite.Link, invite.Record, error) { return invite.Link{}, invite.Record{}, err }
	kind, eid, name, role := entity.Friend, n.user, n.name(), entity.RoleFor(entity.Friend)
	var history entity.History // as the board has it when somebody is let in
	var seen []keys.Digest
	switch o.Kind {
	case "friend":
		if o.Role != "" || o.History != "" {
			return none(refuse("usage", "what", "--role and --history are for boards"))
		}
	case "board":
		h, err := n.board(o.Board)
		if err != nil {
			return none(err)
		}
		s := h.State()
		if s.Personal || s.Ended || !s.Speaks(n.user, n.device.ID(), entity.Master) {
			return none(refuse("not_owner", "name", n.boardName(h)))
		}
		kind, eid, name, seen = entity.Board, h.ID(), n.boardName(h), cardHeads(h.Entity)
		if o.History != "" {
			if history, err = parseHistory(o.History); err != nil {
				return none(err)
			}
		}
		switch o.Role {
		case "", "member":
			role = entity.Member
		case "reader":
			role = entity.Reader
		default:
			return none(refuse("usage", "what", "--role is member or reader"))
		}
		if p, ok := entity.ProveMaster(n.me.Entity, h.Entity); !ok || p.Size() > entity.MaxProof {
			return none(refuse("proof_too_long", "name", n.boardName(h)))
		}
	case "device":
		if o.Role != "" || o.History != "" || o.For != "" || o.Auto || o.Uses > 1 {
			return none(refuse("usage", "what", "a device link is for one device of yours, and is always approved by a person"))
		}
		if !n.me.State().SoleVoter(n.device.ID()) {
			return none(refuse("devices_offline"))
		}
		if !n.roomForDevice() {
			return none(refuse("proof_too_long", "name", name))
		}
		kind, role = entity.Me, 0
	default:
		return none(refuse("usage", "what", "invite friend, board or device"))
	}
	if o.Uses < 0 || o.Uses > invite.MaxUses || len(o.Note) > invite.MaxNote {
		return none(refuse("usage", "what", "1 to 100 uses, and a note of at most 200 bytes"))
	}
	life := o.Expires
	if life == 0 {
		life = invite.DefaultLife(kind)
	}
	opt := invite.Options{
		Expires: tx.now.Add(life).Truncate(time.Second), Uses: uint8(o.Uses), Auto: o.Auto, Addrs: n.linkAddrs(o.Addrs), Name: name,
	}
	if o.For != "" {
		user, err := n.userRef(o.For)
		if err != nil {
			return none(err)
		}
		opt.Bound = &user
	}
	if err := opt.Check(kind, tx.now); err != nil {
		return none(refuse("usage", "what", strings.TrimPrefix(err.Error(), invite.ErrOptions.Error()+": ")))
	}
	l := invite.New(kind, eid, n.device.ID(), opt)
	r := invite.NewRecord(tx.shortID("i"), l, eid, invite.Terms{Created: tx.now, Role: role, History: history, Note: o.Note, Seen: seen})
	return l, r, nil
}

// userRef finds a friend's user by name or id; a whole user id needs no friend.
func (n *Node) userRef(ref string) (keys.Digest, error) {
	if id, err := keys.ParseDigest(ref); err == nil {
		return id, nil
	}
	var all []FriendView
	for _, h := range n.entities {
		if h.State().Kind == entity.Friend && h == n.friendship(h.State().Other(n.user)) {
			all = append(all, n.friendView(h))
		}
	}
	f, err := pick("friend", ref, all, func(f FriendView) []string { return []string{f.Name, f.UserID.String()} })
	return f.UserID, err
}

// linkAddrs returns up to two addresses for a link: those asked for, else ours,
// reachable from farther away first and one of each transport.
func (n *Node) linkAddrs(asked []string) []invite.Addr {
	if len(asked) == 0 {
		addrs := n.host.Addrs()
		slices.SortStableFunc(addrs, func(a, b ma.Multiaddr) int { return addrRank(a) - addrRank(b) })
		for _, a := range addrs {
			asked = append(asked, a.String())
		}
	}
	var out []invite.Addr
	seen := make(map[bool]bool) // by transport: QUIC
	for _, a := range asked {
		p, err := invite.ParseAddr(a)
		if quic := strings.Contains(a, "/quic-v1"); err == nil && !seen[quic] && len(out) < 2 {
			seen[quic] = true
			out = append(out, p)
		}
	}
	return out
}

// addrRank sorts addresses: public, private, loopback; QUIC before TCP.
func addrRank(a ma.Multiaddr) int {
	rank := 2
	if !strings.Contains(a.String(), "/quic-v1") {
		rank++
	}
	ip, err := manet.ToIP(a)
	switch {
	case err != nil:
	case manet.IsIPLoopback(a):
		rank += 8
	case manet.IsPrivateAddr(a):
		rank += 4
	}
	if addr, ok := netip.AddrFromSlice(net.IP(ip)); ok && addr.Unmap().Is6() {
		rank += 2 // longer in a link, and fewer can reach it
	}
	return rank
}

func (n *Node) inviteView(r invite.Record) InviteView {
	v := InviteView{
		ID: r.ID, Kind: linkKind(r.Kind), Uses: int(r.Uses), Used: r.UsedCount(),
		ExpiresAt: time.Unix(r.Expires, 0).UTC(), Note: r.Note, State: r.State.String(),
	}
	if r.State == invite.Open && r.Expires <= n.now().Unix() {
		v.State = invite.Expired.String() // the sweep will say so for good
	}
	if h, ok := n.entities[r.EID]; ok && r.Kind == entity.Board {
		v.Board = new(n.boardName(h))
	}
	return v
}

// Invites returns all invites, newest last, without their links.
func (n *Node) Invites() []InviteView {
	n.mu.Lock()
	defer n.mu.Unlock()
	records := make([]invite.Record, 0, len(n.invites))
	for _, r := range n.invites {
		records = append(records, r)
	}
	slices.SortFunc(records, func(a, b invite.Record) int { return compareShort(a.ID, b.ID) })
	out := make([]InviteView, 0, len(records))
	for _, r := range records {
		out = append(out, n.inviteView(r))
	}
	return out
}

// InviteByID returns one invite.
func (n *Node) InviteByID(id string) (InviteView, error) {
	return pick("invite", id, n.Invites(), func(v InviteView) []string { return []string{v.ID, v.Note} })
}

// Revoke takes an invite back, and with it the requests that wait through it.
func (n *Node) Revoke(_ context.Context, id string) (InviteView, error) {
	var view InviteView
	err := n.update(func(tx *tx) error {
		r, ok := n.invites[id]
		if !ok {
			return refuse("not_found", "what", "invite", "name", id)
		}
		revoked, ended := r.Revoke(tx.now)
		if revoked.State != r.State || len(ended) > 0 {
			tx.record(revoked)
			tx.event("invite.revoked", map[string]any{"id": id})
			for _, c := range ended {
				tx.decided(c)
			}
		}
		view = n.inviteView(revoked)
		return nil
	})
	return view, err
}

// compareShort orders short ids as they were allocated.
func compareShort(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}
