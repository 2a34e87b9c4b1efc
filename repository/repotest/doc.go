// Package repotest proves that a repository.Store keeps the contract of package repository.
//
// A backend's test is one call of Run with a function that opens an empty store; its benchmark is one
// call of Benchmark. Nothing can be skipped: a store that passes behaves as every other that does.
// Each subtest is named with the sentence that it proves.
package repotest
