// Package board says what the content of a Board comes to: its articles and comments
// (docs/PROTOCOL.md §2.9).
//
// All of it is found from the set of operations that a log has, never from dates or the
// order of arrival, and whom an operation concerns from its envelope alone: a node
// without a key, or without a body, comes to the same articles, and says of each text why
// it cannot be shown.
//
// Each type of operation is one file, op_….go, and one row of a table: its word, its body,
// and what it does to a reading of the board.
package board
