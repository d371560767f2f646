package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"pttnode/api"
	"pttnode/node"
)

// stranger has carol, who is nobody's friend, ask for the board.
func (d *demo) stranger(ctx context.Context) error {
	_, asked, err := d.ask(ctx, d.carol, "reading")
	if err != nil {
		return err
	}
	r, err := d.carol.over(ctx, asked.ID)
	if err != nil {
		return err
	}
	d.check(r.Reason == "not_friend_of_owner", "carol, no friend of alice, opens a board link: %s", r.Reason)
	members, err := d.alice.Members(ctx, "reading")
	if err != nil {
		return err
	}
	d.check(len(members) == 2, "the board has two members as before")
	return nil
}

// badLinks opens links that must not work.
func (d *demo) badLinks(ctx context.Context) error {
	tries := []func(context.Context) error{
		d.badText("hello", "link_not_pttnode", "some text"),
		d.badText(d.bob.friendLink[:len(d.bob.friendLink)-7], "link_incomplete", "a link that lost its end"),
		d.badInvite("invite_expired", "a link that has expired", d.expire),
		d.badInvite("invite_revoked", "a link that was withdrawn", func(ctx context.Context, v node.InviteView) error {
			_, err := d.alice.RevokeInvite(ctx, v.ID)
			return err
		}),
		func(ctx context.Context) error {
			return d.refused(ctx, d.bob.friendLink, "invite_used_up", "a link that somebody else has used")
		},
		func(ctx context.Context) error {
			v, err := d.alice.CreateInvite(ctx, api.NewInvite{Kind: "friend"})
			if err != nil {
				return err
			}
			_, err = d.alice.Join(ctx, v.Link, "")
			d.check(codeOf(err) == "link_own", "alice opens a link of her own: %s", codeOf(err))
			return nil
		},
	}
	order := rand.New(rand.NewPCG(d.seed, 0))
	order.Shuffle(len(tries), func(i, j int) { tries[i], tries[j] = tries[j], tries[i] })
	for _, try := range tries {
		if err := try(ctx); err != nil {
			return err
		}
	}
	friends, err := d.carol.Friends(ctx)
	if err != nil {
		return err
	}
	d.check(len(friends) == 0, "carol has got nothing by any of them")
	return nil
}

// badText has carol open a text that is refused as it is read.
func (d *demo) badText(text, want, what string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := d.carol.Join(ctx, text, "")
		d.check(codeOf(err) == want, "carol opens %s: %s", what, codeOf(err))
		return nil
	}
}

// badInvite has carol open a friend link of alice's after spoil has spoilt it.
func (d *demo) badInvite(want, what string, spoil func(context.Context, node.InviteView) error) func(context.Context) error {
	return func(ctx context.Context) error {
		v, err := d.alice.CreateInvite(ctx, api.NewInvite{Kind: "friend", ExpiresIn: 1})
		if err != nil {
			return err
		}
		if err := spoil(ctx, v); err != nil {
			return err
		}
		return d.refused(ctx, v.Link, want, what)
	}
}

// expire waits until the clock says that an invite is over.
func (d *demo) expire(ctx context.Context, v node.InviteView) error {
	over := time.NewTimer(time.Until(v.ExpiresAt))
	defer over.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-over.C:
	}
	v, err := d.alice.Invite(ctx, v.ID)
	if err == nil && v.State != "expired" {
		err = fmt.Errorf("invite %s is %s after its time", v.ID, v.State)
	}
	return err
}

// refused has carol open a link that alice's node must refuse.
func (d *demo) refused(ctx context.Context, link, want, what string) error {
	asked, err := d.carol.Join(ctx, link, "")
	if err != nil {
		return err
	}
	r, err := d.carol.over(ctx, asked.ID)
	if err != nil {
		return err
	}
	d.check(r.Reason == want, "carol opens %s: %s", what, r.Reason)
	return nil
}
