package api

import (
	"net/http"
	"strings"
)

// Exit codes of the command line, as docs name them.
const (
	ExitOK         = 0 // also "already so"
	ExitError      = 1
	ExitUsage      = 2
	ExitNotRunning = 3 // or no identity yet
	ExitDenied     = 4
	ExitNotFound   = 5
	ExitRefused    = 6
	ExitInvite     = 7 // the link or invite is no good
	ExitPending    = 8 // still waiting; nothing is lost
	ExitNetwork    = 9
	ExitCheck      = 10
	ExitLocked     = 75 // EX_TEMPFAIL: a service manager may try again
	ExitConfig     = 78 // EX_CONFIG: a service manager must not
)

// Entry is what the catalogue says of a code. In Text and Hint, {x} stands for the
// parameter x of a Problem; a part in brackets is left out when one of its
// parameters is missing. Braces and brackets do not nest.
type Entry struct {
	Code   string
	Text   string // what is wrong, as a sentence without its full stop
	Hint   string // what the person can do, or ""
	Exit   int
	Status int // HTTP
}

// catalogue is the only source of codes and their texts.
var catalogue = []Entry{
	// The command itself, and the way to the node.
	{"usage", "that is not how this is used[: {what}]", "see: pttnode help[ {command}]", ExitUsage, http.StatusBadRequest},
	{"confirm_required", "this needs an answer, and nobody can be asked here", "run it on a terminal, or answer beforehand[ with {answer}]", ExitUsage, http.StatusPreconditionRequired},
	{"declined", "nothing was done[: {why}]", "", ExitRefused, http.StatusConflict},
	{"ambiguous", "that name has more than one meaning[: {candidates}]", "name one of them by its id", ExitUsage, http.StatusConflict},
	{"too_long", "the [{what} ]text is too long[: the most is {max}]", "shorten it", ExitUsage, http.StatusRequestEntityTooLarge},
	{"not_running", "the node is not running[ ({home})][; {detail}]", "start it: pttnode up", ExitNotRunning, http.StatusServiceUnavailable},
	{"no_identity", "there is no identity yet[ in {home}]", "make one: pttnode init", ExitNotRunning, http.StatusConflict},
	{"socket_denied", "you may not use this node's socket[ ({socket})]", "run the command as the user who runs the node", ExitDenied, http.StatusForbidden},
	{"passphrase_needed", "the keys of this home are protected by a passphrase", "give it: pttnode up --passphrase-file FILE", ExitDenied, http.StatusForbidden},
	{"denied", "the keys of this home do not open", "was it the right passphrase? pttnode up --passphrase-file FILE", ExitDenied, http.StatusForbidden},
	{"locked", "this home is already in use[ by process {holder}]", "use the running node: pttnode status · or stop it: pttnode down", ExitLocked, http.StatusConflict},
	{"bad_config", "the configuration is wrong[: {detail}]", "mend it and start again", ExitConfig, http.StatusInternalServerError},
	{"data_older", "the data was written by an older pttnode, in a format that this one cannot read", "pttnode 0.1 reads it; for this version begin anew: pttnode init --home DIR", ExitConfig, http.StatusConflict},
	{"data_newer", "the data was written by a newer pttnode", "upgrade this one", ExitConfig, http.StatusConflict},
	{"linking", "this device is not linked to anybody yet", "see how far it is: pttnode requests list · go on with it: pttnode up", ExitNotRunning, http.StatusConflict},
	{"not_found", "cannot find that[ {what}][: {name}][; {gone}]", "the lists show what there is", ExitNotFound, http.StatusNotFound},
	{"no_file", "cannot read the file {name}[: {detail}]", "name one that is there, or - for what is typed in", ExitNotFound, http.StatusNotFound},
	{"has_identity", "there is an identity already[: {name}]", "for another one use another home: pttnode --home DIR init", ExitRefused, http.StatusConflict},
	{"internal", "something went wrong inside the node[: {detail}]", "the node's log says more; see: pttnode paths", ExitError, http.StatusInternalServerError},
	{"disk_full", "the disk is full; nothing was lost", "make room and try again", ExitError, http.StatusInsufficientStorage},
	{"check_failed", "a check failed[: {detail}]", "", ExitCheck, http.StatusInternalServerError},
	{"interrupted", "interrupted; what the node has begun goes on", "", 130, http.StatusServiceUnavailable},
	{"terminated", "stopped; what the node has begun goes on", "", 143, http.StatusServiceUnavailable},

	// The link as a text.
	{"link_not_pttnode", "this is not a pttnode link", "links begin with pttnode:friend/, pttnode:board/ or pttnode:device/", ExitInvite, http.StatusUnprocessableEntity},
	{"link_incomplete", "the link is incomplete or has a typo", "copy it again, up to its last character", ExitInvite, http.StatusUnprocessableEntity},
	{"link_newer", "a newer pttnode made this link", "upgrade this node", ExitInvite, http.StatusUnprocessableEntity},
	{"link_kind", "this link is of the wrong kind[: it is a {kind} link]", "ask for a new link[ · to link this device: pttnode invite device, where you are already · a {kind} link opens with: pttnode join]", ExitInvite, http.StatusUnprocessableEntity},
	{"link_several", "this text holds more than one link", "open one of them alone", ExitInvite, http.StatusUnprocessableEntity},
	{"link_own", "this is your own invite", "send it to somebody else · withdraw it: pttnode invite revoke ID", ExitInvite, http.StatusConflict},
	{"device_link_here", "this is a device link: whoever opens it becomes you", "open it on your new device only, with pttnode init --device, and never as an argument; if you typed it here, your shell remembers it: withdraw it where you made it", ExitInvite, http.StatusUnprocessableEntity},

	// The invite, as its maker knows it.
	{"invite_unknown", "the one who made this link does not know it any more", "ask for a new link", ExitInvite, http.StatusGone},
	{"invite_expired", "this invite has expired", "ask for a new link", ExitInvite, http.StatusGone},
	{"invite_revoked", "this invite was withdrawn", "ask the one who made it", ExitInvite, http.StatusGone},
	{"invite_used_up", "this invite has been used", "ask for a new link", ExitInvite, http.StatusGone},
	{"invite_locked", "this invite was locked after too many failed attempts", "ask for a new link", ExitInvite, http.StatusLocked},
	{"invite_bound", "this invite is for another person", "ask for a link of your own", ExitInvite, http.StatusForbidden},

	// A request, and what it asks for.
	{"already_friends", "you are friends already", "see: pttnode friend list", ExitOK, http.StatusConflict},
	{"already_member", "you are a member already", "see: pttnode board list", ExitOK, http.StatusConflict},
	{"already_device", "this device is one of yours already", "", ExitOK, http.StatusConflict},
	{"already_approved", "it is too late: this was approved already", "see: pttnode requests list", ExitRefused, http.StatusConflict},
	{"not_friend_of_owner", "this board takes friends of its owner only, and you are not one yet", "ask the owner for a friend link first", ExitRefused, http.StatusForbidden},
	{"not_owner", "only an owner of the board may do that", "ask the owner", ExitRefused, http.StatusForbidden},
	{"last_owner", "who founded a board stays its owner[: {name}]", "hand it on first: pttnode board transfer BOARD USER · or end it: pttnode board delete BOARD", ExitRefused, http.StatusConflict},
	{"founder_stays", "who founded a board stays its owner[: {name}]", "only the founder hands it on: pttnode board transfer BOARD USER", ExitRefused, http.StatusForbidden},
	{"key_changing", "the key of this is being changed, since somebody is gone who has the old one", "it is there as soon as an owner, or a member who has it, is connected; try again then", ExitRefused, http.StatusConflict},
	{"board_read_only", "you may read this board but not write on it[: {why}]", "see: pttnode board show BOARD", ExitRefused, http.StatusForbidden},
	{"not_author", "only who wrote this[ {what}] may do that", "an owner of the board can delete it", ExitRefused, http.StatusForbidden},
	{"deleted", "this[ {what}] was deleted[ by {by}]", "", ExitRefused, http.StatusGone},
	{"removed", "you were removed", "ask the owner for a new link, made for you", ExitRefused, http.StatusForbidden},
	{"rejected", "the answer was no", "", ExitRefused, http.StatusForbidden},
	{"cancelled", "the request was cancelled", "to ask again, open the link again", ExitRefused, http.StatusConflict},
	{"withdrawn", "the other side has withdrawn this request", "", ExitRefused, http.StatusConflict},
	{"expired", "nobody answered in time", "ask for a new link", ExitRefused, http.StatusGone},
	{"policy_changed", "the board's rules changed meanwhile", "look at them and try again: pttnode requests retry ID", ExitRefused, http.StatusConflict},
	{"proof_too_long", "the other side's history is too long to prove", "try again later: pttnode requests retry ID", ExitRefused, http.StatusRequestEntityTooLarge},
	{"board_too_large", "this board is larger than this device takes", "open the link on a device with more room; the owner may list you as a member: ask to be removed there", ExitRefused, http.StatusRequestEntityTooLarge},
	{"too_many", "too many requests at once", "try again in a minute", ExitRefused, http.StatusTooManyRequests},
	{"identity_check_failed", "the node that answered could not prove who it is", "do not try again on this network; ask for a new link", ExitCheck, http.StatusBadGateway},
	{"code_needed", "a device is let in with the code that it shows", "type it: pttnode requests approve ID --code CODE", ExitUsage, http.StatusPreconditionRequired},
	{"code_elsewhere", "a device is let in where its link was made[: on {device}]", "type the code there", ExitRefused, http.StatusConflict},
	{"decided_elsewhere", "you decided otherwise[ on {device}] already", "see: pttnode requests list", ExitRefused, http.StatusConflict},
	{"wrong_code", "that is not the code on the other screen[; tries left: {left}][; that was the third time, and the link ({taken_back}) is taken back]", "read it again from the new device's own screen[ · for another try: pttnode invite device (in place of {taken_back})]", ExitCheck, http.StatusForbidden},
	{"devices_offline", "too few of your devices are online for this, or it is for another one to decide", "bring them online; device links are made on the device that was first", ExitRefused, http.StatusServiceUnavailable},
	{"clock_skew", "this computer's clock is wrong", "set the clock", ExitRefused, http.StatusConflict},
	{"failed", "the request failed[: {detail}]", "try again: pttnode requests retry ID", ExitError, http.StatusBadGateway},
	{"still_pending", "still waiting[: {detail}]", "nothing is lost; the node goes on with it", ExitPending, http.StatusAccepted},
	{"issuer_away", "only the device that made the link knows how this ended, and it cannot be reached", "bring it online, or give up: pttnode requests cancel ID", ExitNetwork, http.StatusGatewayTimeout},
	{"network", "the other side cannot be reached[: {what}]", "the node tries again by itself", ExitNetwork, http.StatusGatewayTimeout},
}

// byCode is catalogue by code.
var byCode = func() map[string]Entry {
	m := make(map[string]Entry, len(catalogue))
	for _, e := range catalogue {
		m[e.Code] = e
	}
	return m
}()

// Catalogue returns all codes in their order.
func Catalogue() []Entry { return append([]Entry(nil), catalogue...) }

// Lookup returns what the catalogue says of code. An unknown code, perhaps of a
// newer node, is what "internal" says, under its own name.
func Lookup(code string) Entry {
	e, ok := byCode[code]
	if !ok {
		e = byCode["internal"]
		e.Code = code
	}
	return e
}

// fill puts parameters into a text of the catalogue.
func fill(text string, params map[string]string) string {
	var out strings.Builder
	for text != "" {
		before, rest, found := strings.Cut(text, "[")
		s, _ := replace(before, params)
		out.WriteString(s)
		if !found {
			break
		}
		part, after, _ := strings.Cut(rest, "]")
		if s, all := replace(part, params); all {
			out.WriteString(s)
		}
		text = after
	}
	return out.String()
}

// replace replaces each {x}, and reports whether every one had a value.
func replace(text string, params map[string]string) (string, bool) {
	var out strings.Builder
	for all := true; ; {
		before, rest, found := strings.Cut(text, "{")
		out.WriteString(before)
		if !found {
			return out.String(), all
		}
		name, after, _ := strings.Cut(rest, "}")
		all = all && params[name] != ""
		out.WriteString(params[name])
		text = after
	}
}
