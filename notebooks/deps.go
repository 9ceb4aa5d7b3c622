// Package notebooks keeps the packages that only cells import in the module's requirements, so that cells resolve them
// from the checkout's own go.sum.
package notebooks

import (
	_ "github.com/janpfeifer/gonb/gonbui"
	_ "github.com/janpfeifer/must"
)
