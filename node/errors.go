package node

import (
	"errors"

	"pttnode/entity"
	"pttnode/invite"
	"pttnode/oplog"
)

// Error is a refusal with a code of the interface's catalogue.
type Error struct {
	Code   string            // as "invite_expired"
	Detail map[string]string // what the text of the code names, as "name"
	Err    error             // the cause, for the log; may be nil
}

// Error returns the code and the cause.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Code
	}
	return e.Code + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func refuse(code string, detail ...string) *Error {
	e := &Error{Code: code}
	for i := 0; i+1 < len(detail); i += 2 {
		if e.Detail == nil {
			e.Detail = make(map[string]string)
		}
		e.Detail[detail[i]] = detail[i+1]
	}
	return e
}

// because returns a refusal with a cause.
func because(code string, err error) *Error { return &Error{Code: code, Err: err} }

// linkCode turns invite's parse errors into codes.
func linkCode(err error) error {
	for _, c := range []struct {
		err  error
		code string
	}{
		{invite.ErrIncomplete, "link_incomplete"},
		{invite.ErrNewer, "link_newer"},
		{invite.ErrKind, "link_kind"},
		{invite.ErrSeveral, "link_several"},
		{invite.ErrOwn, "link_own"},
	} {
		if errors.Is(err, c.err) {
			return because(c.code, err)
		}
	}
	return because("link_not_pttnode", err)
}

// writeCode turns entity's refusals to write into codes.
func writeCode(err error) error {
	switch {
	case errors.Is(err, entity.ErrEnded):
		return &Error{Code: "board_read_only", Err: err, Detail: map[string]string{"why": "it has ended"}}
	case errors.Is(err, entity.ErrFrozen), errors.Is(err, oplog.ErrVersion):
		return because("data_newer", err)
	case errors.Is(err, entity.ErrNoKey):
		return because("key_changing", err)
	case errors.Is(err, entity.ErrNotAuthorized):
		return because("board_read_only", err)
	case errors.Is(err, entity.ErrBody), errors.Is(err, oplog.ErrTooLarge), errors.Is(err, oplog.ErrFormat):
		return because("too_long", err)
	case errors.Is(err, entity.ErrLastOwner):
		return because("last_owner", err)
	}
	return err
}

var (
	errClosed = errors.New("node: the other side closed the stream")
	errStore  = errors.New("node: the store refused a write")
)
