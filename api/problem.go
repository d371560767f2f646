package api

import (
	"encoding/json"
	"errors"
	"net/http"

	"pttnode/node"
)

// Problem is an error as the API sends it (RFC 9457) and as commands print it.
type Problem struct {
	Type   string            `json:"type"` // "/problems/" and the code
	Title  string            `json:"title"`
	Status int               `json:"status"`
	Code   string            `json:"code"`
	Hint   string            `json:"hint,omitempty"`
	Exit   int               `json:"exit"`
	Params map[string]string `json:"params,omitempty"` // what the texts were filled with
}

// Error returns the code and the text.
func (p *Problem) Error() string { return p.Code + ": " + p.Title }

// NewProblem makes the problem of a code. params are names and values in turn, for
// the texts of the catalogue.
func NewProblem(code string, params ...string) *Problem {
	m := make(map[string]string, len(params)/2)
	for i := 0; i+1 < len(params); i += 2 {
		m[params[i]] = params[i+1]
	}
	return newProblem(code, m)
}

func newProblem(code string, params map[string]string) *Problem {
	e := Lookup(code)
	return &Problem{
		Type: "/problems/" + code, Title: fill(e.Text, params), Status: e.Status,
		Code: code, Hint: fill(e.Hint, params), Exit: e.Exit, Params: params,
	}
}

// ProblemOf returns what err is to people: itself when it is a Problem, the code
// that the node gave it, else "internal". A nil error is nil.
func ProblemOf(err error) *Problem {
	if err == nil {
		return nil
	}
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if e, ok := errors.AsType[*node.Error](err); ok {
		params := e.Detail
		if e.Code == "usage" && params["what"] == "" && e.Err != nil {
			params = map[string]string{"what": e.Err.Error()} // only the cause says what to change
		}
		return newProblem(e.Code, params)
	}
	return NewProblem("internal", "detail", err.Error())
}

// writeProblem answers with a problem.
func writeProblem(w http.ResponseWriter, p *Problem) {
	b, err := json.Marshal(p)
	if err != nil {
		panic("api: a problem that has no JSON: " + err.Error()) // strings and numbers only
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(b, '\n'))
}
