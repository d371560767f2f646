package entity_test

import (
	"pttnode/entity"
	"pttnode/keys"
)

// delivery is an approval with the whole control strand, as one frame brings both.
type delivery struct {
	entity.Approval
	Logs [][]byte
}

// taken opens the strand of a delivery and checks it.
func (d delivery) taken(create func(*entity.Entity) (entity.Keyring, error)) (*entity.Entity, entity.Keyring, error) {
	e, err := entity.OpenStrand(d.Entity, d.Logs)
	if err != nil {
		return nil, nil, err
	}
	ring, err := create(e)
	if err != nil {
		return nil, nil, err
	}
	return e, ring, nil
}

func createJoinEntity(d delivery, want entity.Wanted) (*entity.Entity, entity.Keyring, error) {
	return d.taken(func(e *entity.Entity) (entity.Keyring, error) { return entity.CreateJoinEntity(e, d.Approval, want) })
}

func createJoinMe(d delivery, want entity.NewDevice) (*entity.Entity, entity.Keyring, error) {
	return d.taken(func(e *entity.Entity) (entity.Keyring, error) { return entity.CreateJoinMe(e, d.Approval, want) })
}

func createOwn(d delivery, me *entity.Entity, kind entity.Kind, device keys.ID) (*entity.Entity, entity.Keyring, error) {
	return d.taken(func(e *entity.Entity) (entity.Keyring, error) {
		return entity.CreateOwn(e, d.Approval, me, kind, device)
	})
}
