package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"pttnode/entity"
	"pttnode/entity/me"
	"pttnode/keys"
	"pttnode/oplog"
	"pttnode/protocol"
)

// deviceRecord is what this device keeps of another one of its user.
type deviceRecord struct {
	Status protocol.LinkStatus `cbor:"1,keyasint,omitempty"` // as it reported last, while it is not alive
	Seen   int64               `cbor:"2,keyasint,omitempty"` // when it was connected last, Unix seconds
}

// loadDevices reads what is known of our other devices, and the short ids of the
// requests that wait at them.
func (n *Node) loadDevices() error {
	err := n.scan("/d", func(key string, value []byte) error {
		device, err := keys.ParseID(strings.TrimPrefix(key, "/d/"))
		if err != nil {
			return fmt.Errorf("%w: %w", oplog.ErrCorrupt, err)
		}
		var r deviceRecord
		if err := keys.Unmarshal(value, &r); err != nil {
			return fmt.Errorf("%w: %s: %w", oplog.ErrCorrupt, key, err)
		}
		n.devices[device] = r
		return nil
	})
	return errors.Join(err, n.scan("/q", func(key string, value []byte) error {
		joinID, by, _ := strings.Cut(strings.TrimPrefix(key, "/q/"), "/")
		var at me.AskedAt
		var err1, err2 error
		at.JoinID, err1 = keys.ParseDigest(joinID)
		at.By, err2 = keys.ParseID(by)
		if err := errors.Join(err1, err2); err != nil {
			return fmt.Errorf("%w: %w", oplog.ErrCorrupt, err)
		}
		n.asked[at] = string(value)
		return nil
	}))
}

// mine reports whether device is another one of our user. The caller holds the lock.
func (n *Node) mine(device keys.ID) bool {
	if n.me == nil || device == n.device.ID() {
		return false
	}
	_, ok := n.me.State().Device(device)
	return ok
}

// roomForDevice reports whether our device chain can grow by a device and still
// prove our links: every link's ACK-CHALLENGE carries the whole of it. The caller
// holds the lock.
func (n *Node) roomForDevice() bool {
	proof, _ := entity.ProveMaster(n.me.Entity, nil)
	return proof.Size()+deviceRoom <= entity.MaxProof
}

// deviceStatus keeps how far a device says it is.
func (tx *tx) deviceStatus(device keys.ID, s protocol.LinkStatus) {
	r := tx.n.devices[device]
	if r.Status == s {
		return
	}
	r.Status = s
	tx.deviceRecord(device, r)
	tx.event("device.status", map[string]any{"id": device.String(), "status": s.String()})
}

func (tx *tx) deviceRecord(device keys.ID, r deviceRecord) {
	tx.n.devices[device] = r
	tx.put("/d/"+device.String(), keys.Marshal(r))
}

// sawDevice keeps when a device of ours was connected. Losing it to a crash shows
// an older time, and does no more harm.
func (n *Node) sawDevice(device keys.ID) {
	err := n.update(func(tx *tx) error {
		r := n.devices[device]
		r.Seen = tx.now.Unix()
		tx.deviceRecord(device, r)
		return nil
	})
	if err != nil {
		n.log.Debug("device seen", "device", device.String(), "err", err)
	}
}

// listDevices appends our present Party in every entity that knows another one, if
// this is the device that decides on the device set (docs/PROTOCOL.md §7.1).
func (tx *tx) listDevices() {
	for _, h := range tx.n.entities {
		tx.listDevicesIn(h)
	}
}

func (tx *tx) listDevicesIn(h *held) {
	n := tx.n
	s := h.State()
	m, ok := s.Member(n.user)
	if s.Kind == entity.Me || !ok || m.Standing != entity.Active || s.Ended || s.Frozen || !n.me.State().SoleVoter(n.device.ID()) {
		return
	}
	party := n.me.State().Party("")
	if m.Party.Same(party) {
		return
	}
	party.Name = n.name() // it takes opening the profile
	o, err := h.Control(tx.author(), oplog.FamilyMember, entity.TypeDevices, entity.Devices{Party: party, Cuts: []entity.Cut{}})
	if err != nil {
		n.log.Warn("list devices", "entity", h.ID().String(), "err", err)
		return
	}
	tx.ops(h.Entity, o)
}

// deviceName returns what a device of ours is called. The caller holds the lock.
func (n *Node) deviceName(device keys.ID) string {
	if name := string(n.meLog.Settings[me.DeviceNameSetting(device)]); ValidName(name) && utf8.ValidString(name) {
		return name
	}
	if device == n.device.ID() {
		return n.self.Device
	}
	return device.String()[:8]
}

// nameDevice tells all devices of ours what one is called.
func (tx *tx) nameDevice(device keys.ID, name string) error {
	return tx.me(me.TypeSetting, &me.Setting{Name: me.DeviceNameSetting(device), Value: []byte(name)})
}

// Devices returns our devices in the order in which they were added.
func (n *Node) Devices() []OwnDeviceView {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := []OwnDeviceView{}
	if n.me == nil {
		return out
	}
	voters := n.me.State().Voters()
	for _, d := range n.me.State().Devices {
		out = append(out, n.ownDeviceView(d, slices.Contains(voters, d.ID)))
	}
	return out
}

func (n *Node) ownDeviceView(d entity.Device, votes bool) OwnDeviceView {
	v := OwnDeviceView{ID: d.ID, Name: n.deviceName(d.ID), This: d.ID == n.device.ID(), Votes: votes, Class: d.Class.String()}
	v.Online = v.This || n.online([]keys.ID{d.ID})
	status := protocol.LinkAlive
	switch {
	case d.Alive:
	case v.This:
		status = n.self.Status
	default:
		status = max(n.devices[d.ID].Status, protocol.LinkInit)
	}
	v.Status = status.String()
	if !d.Alive && !v.This && (n.withdrew(d.ID) || n.withdrewElsewhere(d.ID)) {
		v.Status = "withdrawn"
	}
	switch seen := n.devices[d.ID].Seen; {
	case v.Online:
		v.LastSeen = new(n.now().UTC().Truncate(time.Second))
	case seen > 0:
		v.LastSeen = new(unix(seen))
	}
	return v
}

// Device returns one of our devices by name or id.
func (n *Node) Device(ref string) (OwnDeviceView, error) {
	return pick("device", ref, n.Devices(), func(d OwnDeviceView) []string { return []string{d.Name, d.ID.String()} })
}

// RenameDevice changes what one of our devices is called, on all of them.
func (n *Node) RenameDevice(_ context.Context, ref, name string) (OwnDeviceView, error) {
	if !ValidName(name) {
		return OwnDeviceView{}, badName(name)
	}
	d, err := n.Device(ref)
	if err != nil {
		return OwnDeviceView{}, err
	}
	err = n.update(func(tx *tx) error {
		tx.event("device.renamed", map[string]any{"id": d.ID.String(), "name": name})
		return tx.nameDevice(d.ID, name)
	})
	if err != nil {
		return OwnDeviceView{}, writeCode(err)
	}
	return n.Device(d.ID.String())
}
