package oplog

// Lean returns an op of a log as one that has a source returns it: without its bytes, if it
// is content.
func (o Op) Lean() Op {
	if o.strand == Control {
		return o
	}
	return Op{o.op, nil}
}
