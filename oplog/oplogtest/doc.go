// Package oplogtest helps to test logs: [Draw] builds operations from a drawing,
// [Run] is the suite that every back end of a store of logs passes, [FromStore]
// gives logs their bytes from a store, and [FailAfter] stops a store at its n-th
// write.
package oplogtest
