package memory

import (
	"math/rand/v2"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/mat"

	"palimpsest/datasets"
)

// Names of the policies, as in configurations.
const (
	NameReservoir     = "reservoir"
	NameClassBalanced = "class-balanced"
	NameHerding       = "herding"
	NameHighLoss      = "high-loss"
	NameLowLoss       = "low-loss"
)

// Item is what a policy is told of an image besides its pixels.
type Item struct {
	Class int    // label
	Task  int    // the task it was offered in
	Offer uint64 // its number in the stream, from 0
}

// Choice is what a policy chooses from: the images in the buffer and those offered now.
type Choice struct {
	Capacity int
	Seed     uint64
	Items    []Item // Items[:Kept] are in the buffer, in its order; the others are offered now, in stream order
	Kept     int
	Classes  []int // classes offered so far, now included, in the order of their first image
	Seen     []int // Seen[k] counts the images of Classes[k] offered so far, now included

	// Images returns the images of the items at the given indices, in that order.
	Images func(index []int) *datasets.Images
}

// Policy chooses which images a buffer keeps. A policy has no state of its own: one value may serve many buffers.
type Policy interface {
	// Name is the policy's name in configurations.
	Name() string
	// Choose returns the indices of the items to keep, at most Capacity of them and none twice, in the order the
	// buffer is to hold them.
	Choose(c *Choice) ([]int, error)
}

// PolicyNames lists the policies known to [NewPolicy].
func PolicyNames() []string {
	return []string{NameReservoir, NameClassBalanced, NameHerding, NameHighLoss, NameLowLoss}
}

// Measures are what some policies compare images by. Each may be nil where no policy asks for it.
type Measures struct {
	Features func(*datasets.Images) (*mat.Dense, error) // of N images an [N, F] matrix of finite features: for herding
	Losses   func(*datasets.Images) ([]float64, error)  // of N images N finite losses: for high-loss and low-loss
}

// NewPolicy returns the policy of the given name. It returns an error for an unknown name and for a policy whose measure is nil.
func NewPolicy(name string, by Measures) (Policy, error) {
	switch name {
	case NameReservoir:
		return Reservoir{}, nil
	case NameClassBalanced:
		return ClassBalanced{}, nil
	case NameHerding:
		if by.Features == nil {
			return nil, errors.Errorf("memory: policy %q compares images by the features of a classifier, but this run has none; give it a feature extractor or choose %q",
				name, NameClassBalanced)
		}
		return Herding{Features: by.Features}, nil
	case NameHighLoss, NameLowLoss:
		if by.Losses == nil {
			return nil, errors.Errorf("memory: policy %q compares images by the network's loss, and there is no network; choose %q", name, NameClassBalanced)
		}
		return ByLoss{Highest: name == NameHighLoss, Losses: by.Losses}, nil
	}
	return nil, errors.Errorf("memory: no policy is named %q; choose one of %q", name, PolicyNames())
}

// random is the sequence that belongs to one image of the stream.
func random(seed, offer uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, offer)) }

// shares divides capacity over classes that have the given numbers of images, by the rule of the package comment.
func shares(capacity int, available []int) []int {
	share := make([]int, len(available))
	for left := capacity; left > 0; {
		var open []int
		for k := range available {
			if share[k] < available[k] {
				open = append(open, k)
			}
		}
		if len(open) == 0 {
			break
		}
		each, extra := left/len(open), left%len(open)
		if each > 0 {
			extra = 0 // whole rounds first: a class that runs out leaves images to hand out again
		}
		for i, k := range open {
			n := each
			if i < extra {
				n++
			}
			n = min(n, available[k]-share[k])
			share[k] += n
			left -= n
		}
	}
	return share
}

// groups returns, for each of the choice's classes, the indices of its items, in the order of Items.
func (c *Choice) groups() [][]int {
	place := make(map[int]int, len(c.Classes))
	for k, class := range c.Classes {
		place[class] = k
	}
	groups := make([][]int, len(c.Classes))
	for i, item := range c.Items {
		k := place[item.Class]
		groups[k] = append(groups[k], i)
	}
	return groups
}

// sizes returns the length of each group.
func sizes(groups [][]int) []int {
	n := make([]int, len(groups))
	for k, g := range groups {
		n[k] = len(g)
	}
	return n
}
