//go:build !race

package chain_test

// maxSteps of a random history.
const maxSteps = 20
