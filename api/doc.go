// Package api is how people and programs reach a running node: HTTP/1.1 and JSON
// on a unix socket that only the node's own user may open.
//
// One table of routes (routes.go) is served by a Handler and called by a Client
// with one method per route; the command line is a program over that Client and
// nothing else. Views of the node travel as package node defines them; what else
// is sent is in types.go.
//
// Whatever fails is a Problem (RFC 9457) with a code of the one catalogue in
// catalogue.go, which also says the text, the hint, the exit code and the HTTP
// status. A device that is being linked to its user answers linking where an
// identity is needed. Watch follows what happens as server-sent events. The package knows
// nothing of the network between nodes.
package api
