package main

import (
	"context"

	"pttnode/api"
	"pttnode/node"
)

// start makes three identities and starts their nodes.
func (d *demo) start(ctx context.Context) (err error) {
	for _, p := range []struct {
		at   **process
		name string
	}{{&d.alice, "alice"}, {&d.bob, "bob"}, {&d.carol, "carol"}} {
		if *p.at, err = newProcess(ctx, d.dir, p.name); err != nil {
			return err
		}
		if err := (*p.at).up(ctx); err != nil {
			return err
		}
		d.check(true, "%s is up, process %d", p.name, (*p.at).pid())
	}
	return nil
}

// friends makes alice and bob friends, with bob asking and alice saying yes.
func (d *demo) friends(ctx context.Context) error {
	v, err := d.alice.CreateInvite(ctx, api.NewInvite{Kind: "friend", Note: "bob from choir"})
	if err != nil {
		return err
	}
	d.bob.friendLink = v.Link
	asked, err := d.bob.Join(ctx, v.Link, "hi, Bob here")
	if err != nil {
		return err
	}
	d.check(asked.With.Claimed, "bob opens alice's link; her name is a claim until checked")
	in, err := d.alice.incoming(ctx, v.ID)
	if err != nil {
		return err
	}
	d.check(in.With.Name == "bob" && in.Note == "hi, Bob here", "alice is asked: %s, %s", in.With.Name, in.Note)
	friends, err := d.alice.Friends(ctx)
	if err != nil {
		return err
	}
	d.check(len(friends) == 0, "nothing happens until she answers")
	if _, err := d.alice.Approve(ctx, in.ID); err != nil {
		return err
	}
	r, err := d.bob.over(ctx, asked.ID)
	if err != nil {
		return err
	}
	d.check(r.State == "done" && !r.With.Claimed, "alice says yes; bob checked that it is she")
	return d.mutual(ctx)
}

// mutual checks that alice and bob see each other as friends.
func (d *demo) mutual(ctx context.Context) error {
	for _, p := range []struct {
		who   *process
		other string
	}{{d.alice, "bob"}, {d.bob, "alice"}} {
		err := p.who.until(ctx, "a friendship with "+p.other, func(ctx context.Context) (bool, error) {
			f, err := p.who.Friends(ctx)
			return len(f) == 1 && f[0].Name == p.other && f[0].State == "alive", err
		})
		if err != nil {
			return err
		}
		d.check(true, "%s has the friend %s", p.who.name, p.other)
	}
	return nil
}

// board lets bob into a board of alice's.
func (d *demo) board(ctx context.Context) error {
	b, err := d.alice.CreateBoard(ctx, api.NewBoard{Name: "reading", Title: "讀書會"})
	if err != nil {
		return err
	}
	d.check(b.Role == "owner" && b.Members == 1, "alice makes the board %s (%s)", b.Name, b.Title)
	v, asked, err := d.ask(ctx, d.bob, "reading")
	if err != nil {
		return err
	}
	in, err := d.alice.incoming(ctx, v.ID)
	if err != nil {
		return err
	}
	if _, err := d.alice.Approve(ctx, in.ID); err != nil {
		return err
	}
	r, err := d.bob.over(ctx, asked.ID)
	if err != nil {
		return err
	}
	d.check(r.State == "done", "bob asks, alice says yes, bob is in")
	members, err := d.bob.Members(ctx, "reading")
	if err != nil {
		return err
	}
	d.check(len(members) == 2 && members[0].Role == "owner" && members[1].Role == "member", "bob sees its owner and himself")
	return nil
}

// ask makes an invite of alice's to a board and has who open it.
func (d *demo) ask(ctx context.Context, who *process, board string) (node.InviteView, node.RequestView, error) {
	v, err := d.alice.CreateInvite(ctx, api.NewInvite{Kind: "board", Board: board})
	if err != nil {
		return v, node.RequestView{}, err
	}
	r, err := who.Join(ctx, v.Link, "")
	return v, r, err
}

// articles writes in both directions.
func (d *demo) articles(ctx context.Context) error {
	for i, p := range []struct {
		from, to     *process
		title, class string
		body         string
	}{
		{d.alice, d.bob, "三體 第一章", "心得", "A book about three suns.\n"},
		{d.bob, d.alice, "Re: 三體 第一章", "", "And about those who look at them.\n"},
	} {
		wrote, err := p.from.CreateArticle(ctx, "reading", api.NewArticle{Title: p.title, Class: p.class, Body: p.body})
		if err != nil {
			return err
		}
		err = p.to.until(ctx, "an article by "+p.from.name, func(ctx context.Context) (bool, error) {
			all, err := p.to.Articles(ctx, "reading")
			return len(all) > i, err
		})
		if err != nil {
			return err
		}
		got, err := p.to.Article(ctx, "reading", wrote.ID.String())
		if err != nil {
			return err
		}
		d.check(got.Title == p.title && got.Body != nil && *got.Body == p.body && got.Author == p.from.name,
			"%s writes %s; %s reads it, word for word", p.from.name, p.title, p.to.name)
	}
	return nil
}

// restart kills alice's process while bob waits for her answer.
func (d *demo) restart(ctx context.Context) error {
	if _, err := d.alice.CreateBoard(ctx, api.NewBoard{Name: "plans"}); err != nil {
		return err
	}
	v, asked, err := d.ask(ctx, d.bob, "plans")
	if err != nil {
		return err
	}
	in, err := d.alice.incoming(ctx, v.ID)
	if err != nil {
		return err
	}
	old := d.alice.pid()
	d.alice.kill()
	_, err = d.alice.Status(ctx)
	d.check(codeOf(err) == "not_running", "bob asks for another board; process %d (alice) gets SIGKILL", old)
	if err := d.alice.up(ctx); err != nil {
		return err
	}
	d.check(d.alice.pid() != old, "alice is up again, process %d", d.alice.pid())
	still, err := d.alice.Request(ctx, in.ID)
	if err != nil {
		return err
	}
	d.check(still.State == "new" && still.With.Name == "bob", "bob's request %s still waits for her", in.ID)
	if _, err := d.alice.Approve(ctx, in.ID); err != nil {
		return err
	}
	r, err := d.bob.over(ctx, asked.ID)
	if err != nil {
		return err
	}
	d.check(r.State == "done", "she says yes, and bob is in: the same request, %s", r.ID)
	articles, err := d.alice.Articles(ctx, "reading")
	if err != nil {
		return err
	}
	d.check(len(articles) == 2, "nothing written before the kill is lost")
	return nil
}

// sameHeads compares what the logs mean on both sides.
func (d *demo) sameHeads(ctx context.Context) error {
	for _, board := range []string{"reading", "plans", "music"} {
		var a node.EntityView
		for _, p := range []*process{d.bob, d.phone} {
			var b node.EntityView
			err := p.until(ctx, "the same heads of "+board, func(ctx context.Context) (same bool, err error) {
				if a, err = d.alice.View(ctx, board); err != nil {
					return false, err
				}
				b, err = p.View(ctx, board)
				return shape(a.Heads) == shape(b.Heads), err
			})
			if err != nil {
				return err
			}
			d.check(a.Digest == b.Digest && a.Epoch == b.Epoch && len(a.Heads) > 0,
				"%s: alice and %s have the same heads, members, epoch", board, p.name)
		}
	}
	return nil
}

// stop ends the nodes as down does.
func (d *demo) stop(ctx context.Context) error {
	for _, p := range d.all() {
		code, err := p.down(ctx)
		if err != nil {
			return err
		}
		d.check(code == 0, "%s has stopped, exit code %d", p.name, code)
	}
	return nil
}
