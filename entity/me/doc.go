// Package me says what the me-oplog means: what the devices of a user tell one another in
// the content strand of their Me (docs/PROTOCOL.md §7.1).
//
// Each type of entry is one file, op_….go, and one row of a table.
package me
