package main

import (
	"context"

	"pttnode/api"
)

// removal lets bob and carol into a board of alice's, and carol out again.
func (d *demo) removal(ctx context.Context) error {
	if _, err := d.alice.CreateBoard(ctx, api.NewBoard{Name: "choir", Policy: "link"}); err != nil {
		return err
	}
	v, err := d.alice.CreateInvite(ctx, api.NewInvite{Kind: "board", Board: "choir", Uses: 3, AutoApprove: true})
	if err != nil {
		return err
	}
	for _, p := range []*process{d.bob, d.carol} {
		r, err := p.Join(ctx, v.Link, "")
		if err != nil {
			return err
		}
		if r, err = p.over(ctx, r.ID); err != nil {
			return err
		}
		d.check(r.State == "done", "%s joins choir by a link for whoever has it", p.name)
	}
	before, err := d.alice.View(ctx, "choir")
	if err != nil {
		return err
	}
	_, err = d.bob.RemoveMember(ctx, "choir", "carol")
	d.check(codeOf(err) == "not_owner", "bob may not remove her: %s", codeOf(err))
	if _, err := d.alice.RemoveMember(ctx, "choir", "carol"); err != nil {
		return err
	}
	after, err := d.alice.View(ctx, "choir")
	if err != nil {
		return err
	}
	d.check(after.Epoch == before.Epoch+1, "alice removes carol, and the board has key number %d", after.Epoch)
	wrote, err := d.alice.CreateArticle(ctx, "choir", api.NewArticle{Title: "Who sings on Sunday", Body: "All but one.\n"})
	if err != nil {
		return err
	}
	err = d.bob.until(ctx, "what alice wrote with the new key", func(ctx context.Context) (bool, error) {
		all, err := d.bob.Articles(ctx, "choir")
		return len(all) == 1 && all[0].State == "ok", err
	})
	if err != nil {
		return err
	}
	got, err := d.bob.Article(ctx, "choir", wrote.ID.String())
	if err != nil {
		return err
	}
	d.check(got.Body != nil && *got.Body == "All but one.\n", "bob has the new key and reads what alice writes now")
	err = d.carol.until(ctx, "that she is out", func(ctx context.Context) (bool, error) {
		_, err := d.carol.Board(ctx, "choir")
		if codeOf(err) == "not_found" {
			return true, nil
		}
		return false, err
	})
	if err != nil {
		return err
	}
	d.check(true, "carol hears that she is out, and nothing more")
	return nil
}
