package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"pttnode/api"
	"pttnode/node"
)

// linkPhone makes alice-phone a device of alice's: it opens her device link and
// shows a code, which she types on her laptop. The laptop is killed in the middle.
func (d *demo) linkPhone(ctx context.Context) (err error) {
	v, err := d.alice.CreateInvite(ctx, api.NewInvite{Kind: "device"})
	if err != nil {
		return err
	}
	_, err = d.carol.Join(ctx, v.Link, "")
	d.check(codeOf(err) == "device_link_here", "carol opens alice's device link as a friend's: %s", codeOf(err))
	if d.phone, err = emptyProcess(d.dir, "alice-phone"); err != nil {
		return err
	}
	end, err := d.phone.start(ctx, strings.NewReader(v.Link), "init", "--device", "--link-file", "-", "--device-name", "alice-phone")
	if err != nil {
		return err
	}
	in, err := d.alice.incoming(ctx, v.ID)
	if err != nil {
		return err
	}
	code, err := d.phone.code(ctx)
	if err != nil {
		return err
	}
	d.check(in.Kind == "device" && in.Code == "" && len(code) == 6, "alice-phone shows a code; alice-laptop asks for it")
	s, err := d.phone.Status(ctx)
	if err != nil {
		return err
	}
	d.check(s.State == "setup", "alice-phone is nobody's until it is typed: %s", s.State)
	_, err = d.alice.ApproveDevice(ctx, in.ID, otherCode(code))
	d.check(codeOf(err) == "wrong_code", "another code is typed: %s", codeOf(err))
	if _, err := d.alice.ApproveDevice(ctx, in.ID, code); err != nil {
		return err
	}
	d.alice.kill()
	d.check(true, "the code is typed; alice-laptop gets SIGKILL at once")
	if err := d.alice.up(ctx); err != nil {
		return err
	}
	var out linked
	select {
	case line := <-end:
		if err := json.Unmarshal(line, &out); err != nil {
			return fmt.Errorf("alice-phone was not linked: %w: %q", err, line)
		}
	case <-time.After(demoWait):
		return fmt.Errorf("alice-phone was not linked in %v", demoWait)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	<-d.phone.exited
	d.check(d.phone.cmd.ProcessState.ExitCode() == 0 && out.User != nil && out.User.Name == "alice",
		"alice-laptop is up again, and alice-phone is linked to alice")
	if err := d.phone.up(ctx); err != nil {
		return err
	}
	for _, p := range []*process{d.alice, d.phone} {
		all, err := p.Devices(ctx)
		if err != nil {
			return err
		}
		d.check(len(all) == 2 && all[0].Status == "alive" && all[1].Status == "alive", "%s sees two devices, both alive", p.name)
	}
	return nil
}

// code waits until the device that is being linked shows its code.
func (p *process) code(ctx context.Context) (code string, err error) {
	err = p.until(ctx, "a code", func(ctx context.Context) (bool, error) {
		all, err := p.Requests(ctx)
		if err == nil && len(all) == 1 {
			code = all[0].Code
		}
		return code != "", err
	})
	return code, err
}

// otherCode is a code that is not this one.
func otherCode(code string) string {
	if code[0] == '9' {
		return "0" + code[1:]
	}
	return "9" + code[1:]
}

// phoneAway has things happen while the phone is off.
func (d *demo) phoneAway(ctx context.Context) error {
	if err := d.write(ctx, d.phone, d.bob, "from my phone", 3); err != nil {
		return err
	}
	if _, err := d.phone.down(ctx); err != nil {
		return err
	}
	if err := d.write(ctx, d.bob, d.alice, "while you were away", 4); err != nil {
		return err
	}
	v, err := d.alice.CreateInvite(ctx, api.NewInvite{Kind: "friend"})
	if err != nil {
		return err
	}
	asked, err := d.carol.Join(ctx, v.Link, "")
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
	if _, err := d.carol.over(ctx, asked.ID); err != nil {
		return err
	}
	if err := d.phone.up(ctx); err != nil {
		return err
	}
	err = d.phone.until(ctx, "what it missed", func(ctx context.Context) (bool, error) {
		all, err := d.phone.Articles(ctx, "reading")
		if err != nil || len(all) < 4 {
			return false, err
		}
		carol, err := d.phone.Friend(ctx, "carol")
		if codeOf(err) == "not_found" {
			return false, nil
		}
		return carol.State == "alive", err
	})
	if err != nil {
		return err
	}
	d.check(true, "alice-phone was off, is up, and has the article and the friend carol")
	return nil
}

// write has one write on the board and another read it.
func (d *demo) write(ctx context.Context, from, to *process, title string, count int) error {
	if _, err := from.CreateArticle(ctx, "reading", api.NewArticle{Title: title, Body: "…\n"}); err != nil {
		return err
	}
	err := to.until(ctx, "the article "+title, func(ctx context.Context) (bool, error) {
		all, err := to.Articles(ctx, "reading")
		return len(all) == count && all[count-1].Title == title, err
	})
	if err != nil {
		return err
	}
	d.check(true, "%s writes %s; %s reads it", from.name, title, to.name)
	return nil
}

// phoneDecides has a request to the laptop decided on the phone.
func (d *demo) phoneDecides(ctx context.Context) error {
	if _, err := d.alice.CreateBoard(ctx, api.NewBoard{Name: "music"}); err != nil {
		return err
	}
	_, asked, err := d.ask(ctx, d.bob, "music")
	if err != nil {
		return err
	}
	var in node.RequestView
	err = d.phone.until(ctx, "bob's request", func(ctx context.Context) (bool, error) {
		all, err := d.phone.Requests(ctx)
		for _, r := range all {
			if r.At != "" && r.State == "new" {
				in = r
			}
		}
		return in.ID != "", err
	})
	if err != nil {
		return err
	}
	d.check(in.At == "alice-laptop" && in.With.Name == "bob", "bob asks; alice-phone sees that it waits at %s", in.At)
	if _, err := d.phone.Approve(ctx, in.ID); err != nil {
		return err
	}
	r, err := d.bob.over(ctx, asked.ID)
	if err != nil {
		return err
	}
	d.check(r.State == "done", "alice says yes on her phone; her laptop lets bob in")
	why, err := d.bob.Why(ctx, "music", "bob")
	if err != nil {
		return err
	}
	d.check(why.Valid && len(why.Chain) > 1 && why.Chain[0].Type == "genesis" && why.Chain[0].ByName == "alice",
		"why bob is a member: %d entries, from alice's making the board", len(why.Chain))
	return nil
}
