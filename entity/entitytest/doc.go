// Package entitytest has people, entities with a member in every standing, and what
// brings operations from one node to another, for tests of package entity and of the
// packages that say what an entity's content means.
package entitytest
