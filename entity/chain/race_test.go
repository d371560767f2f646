//go:build race

package chain_test

// maxSteps of a random history: signatures take many times as long under the detector.
const maxSteps = 5
