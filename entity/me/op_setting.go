package me

import (
	"pttnode/entity"
	"pttnode/keys"
	"pttnode/oplog"
)

// MaxSetting is how many bytes the value of a setting has.
const MaxSetting = 4096

// Setting is the body of me/setting; the last one of a name counts.
type Setting struct {
	Name  string `cbor:"1,keyasint"`
	Value []byte `cbor:"2,keyasint"`
}

// DeviceNameSetting returns the name of the setting that holds a device's name.
func DeviceNameSetting(device keys.ID) string { return "device:" + device.String() }

// BlockSetting returns the name of the setting that refuses what a user asks for: one
// byte, 1 while it does.
func BlockSetting(user keys.Digest) string { return "block:" + user.String() }

func (b *Setting) check() bool {
	return entity.IsText(b.Name, entity.MaxName) && len(b.Value) <= MaxSetting
}

var setting = row{
	word:     "setting",
	body:     func() body { return new(Setting) },
	apply:    func(s *State, _ oplog.Op, b body) { s.Settings[b.(*Setting).Name] = b.(*Setting).Value },
	replaces: func(_ keys.ID, b body) any { return b.(*Setting).Name },
}
