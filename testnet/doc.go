// Package testnet runs many real nodes on a simulated network in virtual time.
//
// A [Net] lives inside a testing/synctest bubble: real libp2p hosts speak QUIC over
// go-libp2p's simulated network, so minutes of network take seconds, and a round
// trip takes exactly what the test says. [Net.Partition], [Net.Loss], [Peer.Crash],
// [Peer.Restart] and [Peer.Skew] are the faults; [Net.Check] is what must hold
// after every test; its stores can stop at any write. Where real time matters, in
// benchmarks of joins and floods, the nodes run over loopback with stores on disk
// instead. Nothing here is part of the product.
package testnet
