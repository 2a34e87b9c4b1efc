package integration_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// event is one call on the entities of a family: a grant, its code, and a chain of refresh tokens, each of
// which is rotated into the next.
type event struct {
	Worker int    `json:"worker"` // the process that called; 0: this one
	Family int    `json:"family"`
	Op     string `json:"op"`
	Token  int    `json:"token,omitempty"`  // its place in the chain
	Began  int64  `json:"began"`            // of clock
	Ended  int64  `json:"ended,omitempty"`  // 0: nobody knows
	Result string `json:"result,omitempty"` // empty: the process was killed before
}

// chain is how many refresh tokens a family has at most.
const chain = 6

// The calls.
const (
	opCreate      = "create grant and code"
	opConsume     = "consume code"
	opGetCode     = "get code"
	opIssue       = "create token"
	opRotate      = "rotate token"
	opGetToken    = "get token"
	opRevokeToken = "revoke token"
	opRevokeGrant = "revoke grant"
	opGetGrant    = "get grant"
)

// The results. Of a get, done says that the entity is live.
const (
	done     = "done"
	nothing  = "nothing to do"
	exists   = "already exists"
	missing  = "not found"
	consumed = "consumed"
	revoked  = "revoked"
	failed   = "failed" // and nothing was done
)

// entity is what is known of one.
type entity struct{ exists, consumed, revoked bool }

func (e entity) state() string {
	switch {
	case !e.exists:
		return missing
	case e.revoked:
		return revoked
	case e.consumed:
		return consumed
	}
	return done
}

// family is the state of the model.
type family struct {
	grant, code entity
	tokens      [chain]entity
}

// step says what a call gives, and what the family is after it.
func (f family) step(e event) (result string, after family) {
	switch e.Op {
	case opCreate:
		if f.grant.exists {
			return exists, f
		}
		f.grant.exists, f.code.exists = true, true
		return done, f
	case opConsume:
		result = f.code.state()
		f.code.consumed = f.code.consumed || result == done
		return result, f
	case opIssue:
		if s := f.grant.state(); s != done {
			return s, f
		}
		if f.tokens[0].exists {
			return exists, f
		}
		f.tokens[0].exists = true
		return done, f
	case opRotate:
		result = f.tokens[e.Token].state()
		if result == done {
			f.tokens[e.Token].consumed = true
			if e.Token+1 < chain {
				f.tokens[e.Token+1].exists = true
			}
		}
		return result, f
	case opRevokeToken:
		if !f.tokens[e.Token].exists {
			return missing, f
		}
		f.tokens[e.Token].revoked = true
		return done, f
	case opRevokeGrant:
		if f.grant.state() != done {
			return nothing, f
		}
		f.grant.revoked, f.code.revoked = true, f.code.exists
		for i := range f.tokens {
			f.tokens[i].revoked = f.tokens[i].exists
		}
		return done, f
	case opGetGrant:
		return f.grant.state(), f
	case opGetCode:
		return f.code.state(), f
	default: // opGetToken
		return f.tokens[e.Token].state(), f
	}
}

// model is family.step for porcupine. A call that was killed happened, or it did not.
var model = (&porcupine.NondeterministicModel{
	Init: func() []any { return []any{family{}} },
	Step: func(state, input, output any) []any {
		e := input.(event)
		result, after := state.(family).step(e)
		switch output.(string) {
		case "":
			return []any{state, after}
		case failed:
			return []any{state}
		case result:
			return []any{after}
		}
		return nil
	},
}).ToModel()

// linearizable returns the families whose history is not.
func linearizable(events []event) (wrong [][]event, err error) {
	families := make(map[int][]event)
	for _, e := range events {
		families[e.Family] = append(families[e.Family], e)
	}
	for _, history := range families {
		switch porcupine.CheckOperationsTimeout(model, operations(history), time.Minute) {
		case porcupine.Illegal:
			wrong = append(wrong, history)
		case porcupine.Unknown:
			return nil, fmt.Errorf("no answer for %d calls within a minute", len(history))
		}
	}
	return wrong, nil
}

func operations(events []event) []porcupine.Operation {
	list := make([]porcupine.Operation, len(events))
	for i, e := range events {
		end := e.Ended
		if end == 0 {
			end = math.MaxInt64
		}
		list[i] = porcupine.Operation{ClientId: i, Input: e, Output: e.Result, Call: e.Began, Return: end}
	}
	return list
}

// describe lists events in the order in which they began.
func describe(events []event) string {
	slices.SortFunc(events, func(a, b event) int { return int(a.Began - b.Began) })
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "%8d..%-8d %s %d: %s\n",
			(e.Began-events[0].Began)/1000, max(0, e.Ended-events[0].Began)/1000, e.Op, e.Token, e.Result)
	}
	return b.String()
}

func TestAWrongHistoryIsRefused(t *testing.T) {
	call := func(began, ended int64, op string, token int, result string) event {
		return event{Op: op, Token: token, Began: began, Ended: ended, Result: result}
	}
	created := call(1, 2, opCreate, 0, done)
	issued := call(3, 4, opIssue, 0, done)
	tests := []struct {
		name  string
		calls []event
		right bool
	}{
		{"one winner", []event{created, call(3, 6, opConsume, 0, done), call(4, 5, opConsume, 0, consumed)}, true},
		{"two winners of a code", []event{created, call(3, 6, opConsume, 0, done), call(4, 5, opConsume, 0, done)}, false},
		{"two winners of a rotation", []event{created, issued, call(5, 8, opRotate, 0, done), call(6, 7, opRotate, 0, done)}, false},
		{"consumed before anybody won", []event{created, call(3, 4, opConsume, 0, consumed), call(5, 6, opConsume, 0, done)}, false},
		{"live after it was consumed", []event{created, call(3, 4, opConsume, 0, done), call(5, 6, opGetCode, 0, done)}, false},
		{"live while it is consumed", []event{created, call(3, 6, opConsume, 0, done), call(4, 5, opGetCode, 0, done)}, true},
		{"a lost write", []event{created, call(3, 4, opGetCode, 0, missing)}, false},
		{"a rotation without its successor", []event{created, issued, call(5, 6, opRotate, 0, done), call(7, 8, opGetToken, 1, missing)}, false},
		{"a rotation after the grant was revoked", []event{created, issued, call(5, 6, opRevokeGrant, 0, done), call(7, 8, opRotate, 0, done)}, false},
		{"a token that outlives its grant", []event{created, issued, call(5, 6, opRevokeGrant, 0, done), call(7, 8, opGetToken, 0, done)}, false},
		{"a token after the grant was revoked", []event{created, call(3, 4, opRevokeGrant, 0, done), call(5, 6, opIssue, 0, done)}, false},
		{"a grant that is revoked twice", []event{created, call(3, 4, opRevokeGrant, 0, done), call(5, 6, opRevokeGrant, 0, done)}, false},
		{"a killed call that happened", []event{created, call(3, 0, opConsume, 0, ""), call(5, 6, opGetCode, 0, consumed)}, true},
		{"a killed call that did not happen", []event{created, call(3, 0, opConsume, 0, ""), call(5, 6, opGetCode, 0, done)}, true},
		{"a killed call that happened and then did not", []event{
			created, call(3, 0, opConsume, 0, ""), call(5, 6, opGetCode, 0, consumed), call(7, 8, opGetCode, 0, done),
		}, false},
		{"the other half of a killed rotation", []event{
			created, issued, call(5, 6, opRotate, 0, ""), call(7, 8, opGetToken, 0, done), call(9, 10, opGetToken, 1, done),
		}, false},
		{"a failed call that did not happen", []event{created, call(3, 4, opConsume, 0, failed), call(5, 6, opGetCode, 0, done)}, true},
		{"a failed call that happened", []event{created, call(3, 4, opConsume, 0, failed), call(5, 6, opGetCode, 0, consumed)}, false},
		{"half a killed rotation", []event{
			created, issued, call(5, 0, opRotate, 0, ""), call(7, 8, opGetToken, 0, consumed), call(9, 10, opGetToken, 1, missing),
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wrong, err := linearizable(tt.calls)
			if err != nil || (len(wrong) == 0) != tt.right {
				t.Errorf("linearizable: %v, want %v (%v)", len(wrong) == 0, tt.right, err)
			}
		})
	}
}
