package chain_test

import (
	"fmt"
	"testing"

	"pttnode/entity/chain"
)

// long returns the links of a chain that is filled, by one voter or by three.
func long(b *testing.B, voters ...string) []chain.Link {
	b.Helper()
	c := household([]string{"A", "B", "C", "D"}, voters)
	for n := 0; ; n++ {
		next, err := c.Extend(long1(c, n, voters))
		if err != nil {
			return c.Links()
		}
		c = next
	}
}

func long1(c *chain.Chain, n int, voters []string) chain.Link {
	o := sign(c, key("A"), chain.DeviceClass{Device: id("D"), Class: chain.Class(n%2 + 3), Chain: c.Next()})
	if len(voters) < 3 {
		return chain.Link{Op: o}
	}
	return certified(c, o, voters[:len(voters)/2+1]...)
}

// BenchmarkOpen verifies a whole chain from its bytes, as long as a chain can be, and
// BenchmarkExtend512 as many ops as a chain may have.
func BenchmarkOpen(b *testing.B) {
	for _, voters := range [][]string{{"A"}, {"A", "B", "C"}} {
		links := long(b, voters...)
		raws := make([][]byte, len(links))
		size := 0
		for i, l := range links {
			raws[i] = l.Marshal()
			size += len(raws[i])
		}
		b.Run(fmt.Sprintf("voters=%d/ops=%d", len(voters), len(links)), func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				var c *chain.Chain
				for _, raw := range raws {
					c = must(c.Extend(must(chain.ParseLink(raw))))
				}
			}
		})
	}
}

func BenchmarkExtend512(b *testing.B) {
	for _, voters := range [][]string{{"A"}, {"A", "B", "C"}} {
		c := household([]string{"A", "B", "C", "D"}, voters)
		raws := make([][]byte, 0, chain.MaxOps)
		end := c
		for n := range chain.MaxOps {
			l := long1(end, n, voters)
			raws = append(raws, l.Marshal())
			end = must(end.Extend(l)).Pad(c.Len(), c.Bytes())
		}
		b.Run(fmt.Sprintf("voters=%d", len(voters)), func(b *testing.B) {
			for b.Loop() {
				at := c
				for _, raw := range raws {
					at = must(at.Extend(must(chain.ParseLink(raw)))).Pad(c.Len(), c.Bytes())
				}
			}
		})
	}
}

// BenchmarkJudge judges a set of as many branches as a store keeps.
func BenchmarkJudge(b *testing.B) {
	c := household([]string{"A", "B"}, nil)
	for n := range 200 {
		c = alone(c, "A", func(c *chain.Chain) any {
			return chain.DeviceClass{Device: id("B"), Class: chain.Class(n%2 + 1 + 2*(n%2)), Chain: c.Next()}
		})
	}
	var set chain.Set
	for n := range chain.MaxBranches {
		set = must(set.Add(alone(c, "A", func(c *chain.Chain) any { return addOf(c, fmt.Sprint(n)) })))
	}
	for b.Loop() {
		set.Judge()
	}
}
