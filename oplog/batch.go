package oplog

import "pttnode/keys"

// ParseBatch parses operations of any strands and devices as a peer sends them
// and returns those that are authentic, in the order given. Control ops are
// checked one by one. Content ops of one device that follow one another are
// checked as ParseChain does, by the last signature that verifies; what comes
// after it is left out, as are malformed ones: a later batch brings them again if
// they were authentic after all.
func ParseBatch(raws [][]byte) []Op {
	ops := make([]Op, 0, len(raws))
	tips := make(map[keys.ID]int)        // where the running chain of a device ends in ops
	chainOf := make([]int, 0, len(raws)) // the op before it in its chain, -1 for none
	for _, raw := range raws {
		o, err := decode(raw)
		if err != nil {
			continue
		}
		before := -1
		if o.Strand() == Content {
			if i, ok := tips[o.Device()]; ok && follows(ops[i], o) {
				before = i
			}
			tips[o.Device()] = len(ops)
		}
		ops, chainOf = append(ops, o), append(chainOf, before)
	}
	// From the newest to the oldest: an op is authentic if one that names it is, or
	// else if its own signature says so.
	authentic := make([]bool, len(ops))
	for i := len(ops) - 1; i >= 0; i-- {
		if !authentic[i] {
			authentic[i] = ops[i].verify() == nil
		}
		if b := chainOf[i]; authentic[i] && b >= 0 {
			authentic[b] = true
		}
	}
	out := ops[:0]
	for i, o := range ops {
		if authentic[i] {
			out = append(out, o)
		}
	}
	return out
}
