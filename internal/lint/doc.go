// Package lint keeps the repository in the shape that docs/ARCHITECTURE.md draws:
// its tests fail when a package imports what it must not, when a pure package
// reads a clock or starts a goroutine, or when a package has no comment. It holds
// nothing that runs in the product.
package lint
