package flow

// What FuzzUnseal needs.
var (
	Seal   = seal
	Unseal = unseal
)
