package cl

import (
	"fmt"
	"strings"

	"github.com/pkg/errors"
)

// BordersMissing refuses a method that needs to know where tasks begin and end, for a stream in which nothing tells.
type BordersMissing struct{ Strategy string }

// Error says which methods do without.
func (e *BordersMissing) Error() string {
	var without []string
	for _, s := range All() {
		if s.Info().Borders != NeedsBorders {
			without = append(without, s.Info().Name)
		}
	}
	return fmt.Sprintf("%s works at the borders between tasks, or counts tasks, with these settings, and an online stream has no borders; "+
		"choose a method that does without (%s), or leave out benchmark.stream", e.Strategy, strings.Join(without, ", "))
}

// CheckBorders returns a [*BordersMissing] for a strategy that needs borders, in a stream that has none.
func CheckBorders(s Strategy, online bool) error {
	if s == nil {
		return errors.New("cl.CheckBorders: no strategy (nil); make one by cl.New")
	}
	if online && s.Info().Borders == NeedsBorders {
		return &BordersMissing{Strategy: s.Info().Name}
	}
	return nil
}

// toldTo is the setup as the strategy may know it.
func (s Setup) toldTo(strategy Strategy) Setup {
	if s.Online || strategy.Info().Borders == NoBorders {
		s.Tasks, s.StepsPerTask = 1, s.Tasks*s.StepsPerTask
	}
	return s
}

// Knows says in one line what a method may know of the stream beside images and their order.
func (i Info) Knows() string {
	var knows []string
	switch {
	case i.Stream == AllTasks:
		knows = append(knows, "all images from the start")
	case i.Borders == NeedsBorders:
		knows = append(knows, "where tasks begin and end, which it needs")
	case i.Borders == UsesBorders:
		knows = append(knows, "where tasks begin and end, where there are such borders")
	default:
		knows = append(knows, "no borders between tasks")
	}
	if i.Labels {
		knows = append(knows, "the classes of images")
	} else {
		knows = append(knows, "classes only to hand them to the network")
	}
	if i.TaskAtSampling {
		knows = append(knows, "the task at sampling")
	}
	return strings.Join(knows, "; ")
}
