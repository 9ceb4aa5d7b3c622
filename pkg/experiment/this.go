package experiment

import "palimpsest/pkg/results"

// ThisMachine describes this computer; what ran on it is for the caller to add.
func ThisMachine() results.Machine { return thisMachine() }

// ThisCommit is the checkout's commit and whether it had uncommitted changes; "unknown" outside a checkout.
func ThisCommit() (hash string, dirty bool) { return commit() }
