// Package cleanup removes what has expired from a repository.Store: once with Run, or in the background
// with Start. Several processes that share a store may all do it.
package cleanup
