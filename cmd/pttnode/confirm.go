package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/term"

	"pttnode/api"
)

// asks reports whether the person can be asked.
func (a *app) asks() bool { return a.inTTY && a.errTTY && !a.noInput && !a.json }

// confirm asks a question whose safe answer is no. yes is the flag that answers
// beforehand. Where nobody can be asked it fails with confirm_required.
func (a *app) confirm(yes bool, format string, args ...any) (bool, error) {
	if yes {
		return true, nil
	}
	if !a.asks() {
		return false, api.NewProblem("confirm_required", "answer", "-y")
	}
	a.talk(format+" [y/N] ", args...)
	answer, err := a.readLine()
	if err != nil {
		return false, err
	}
	switch strings.ToLower(answer) {
	case "y", "yes":
		return true, nil
	}
	return false, nil
}

// confirmName asks for what cannot be undone: the name has to be typed, or given by the
// flag --confirm. Where nobody can be asked it fails with confirm_required.
func (a *app) confirmName(given, name, format string, args ...any) error {
	if given == "" {
		if !a.asks() {
			return api.NewProblem("confirm_required", "answer", "--confirm "+quoted(name))
		}
		a.talk(format+" Type its name to go on: ", args...)
		answer, err := a.readLine()
		if err != nil {
			return err
		}
		given = answer
	}
	if given != name {
		return api.NewProblem("declined", "why", fmt.Sprintf("%q is not %q", given, name))
	}
	return nil
}

// prompt asks for a line; an empty answer is the default.
func (a *app) prompt(question, def string) (string, error) {
	if def != "" {
		a.talk("%s [%s]: ", question, def)
	} else {
		a.talk("%s: ", question)
	}
	s, err := a.readLine()
	if s == "" {
		s = def
	}
	return s, err
}

// readLine reads a line of the terminal.
func (a *app) readLine() (string, error) {
	r, ok := a.in.(*bufio.Reader)
	if !ok {
		r = bufio.NewReader(a.in)
		a.in = r
	}
	s, err := r.ReadString('\n')
	if err != nil && !(errors.Is(err, io.EOF) && s != "") {
		return "", fmt.Errorf("read the answer: %w", err)
	}
	return strings.TrimSpace(s), nil
}

// maxPassphrase bounds what is read as one, so that a wrong file is noticed.
const maxPassphrase = 4096

// passphrase reads the passphrase of --passphrase-file: a file, or "-" for stdin;
// nil when none is named. One line break at its end is not part of it.
func (a *app) passphrase(file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	b, err := a.readAll(file, maxPassphrase)
	if err != nil {
		return nil, err
	}
	s := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if s == "" {
		return nil, api.NewProblem("usage", "what", "the passphrase is empty")
	}
	return []byte(s), nil
}

// askHidden asks for what nobody may see. The terminal stops repeating before the
// question is there, so that what is pasted at once stays hidden too.
func (a *app) askHidden(question string) ([]byte, error) {
	fd := int(os.Stdin.Fd())
	quiet, err := term.MakeRaw(fd) // ReadPassword begins from it, and has lines and Ctrl-C work
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	a.talk("%s: ", question)
	b, err := term.ReadPassword(fd)
	err = errors.Join(err, term.Restore(fd, quiet))
	a.talk("\n")
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return b, nil
}

// reason is what the system said of a file, without its name.
func reason(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

// readAll reads a file, or stdin for "-", of at most limit bytes.
func (a *app) readAll(name string, limit int64) ([]byte, error) {
	r := a.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, api.NewProblem("no_file", "name", name, "detail", reason(err))
		}
		defer f.Close()
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if int64(len(b)) > limit {
		return nil, api.NewProblem("too_long", "max", fmt.Sprintf("%d bytes", limit))
	}
	return b, nil
}
