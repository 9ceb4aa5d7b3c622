package perf

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"
	"time"

	"github.com/pkg/errors"
)

// How long a measurement takes at least, in seconds, and how many calls it has at most.
const (
	leastSeconds = 1.0
	mostCalls    = 20
)

// runner measures cases.
type runner struct {
	dir    string // of the results
	rounds int
	anew   bool    // measure again what is stored
	origin Sitting // what all sittings have in common
	log    io.Writer

	start  func(ctx context.Context, c Contestant, oneCore bool) (entrant, ready, error)
	settle time.Duration // before each measurement: threads of the one before may still wait in loops
	free   func() int64  // memory
	most   int           // calls of a measurement
}

// race measures those contestants of a case that have not been measured to the end. The reference, where it is one of them,
// sits with all others. parameters is what all must have, 0 where they differ. A contestant that fails is left out, which
// the log and the result say; one with another number of parameters ends the race with an error.
func (r *runner) race(ctx context.Context, c Case, contestants []Contestant, reference string, parameters int) error {
	result, err := r.stored(c)
	if err != nil {
		return err
	}
	var failed []string
	for {
		var todo []string
		for _, x := range contestants {
			if s, _ := result.latest(x.Name); !slices.Contains(failed, x.Name) && (s == nil || s.Rounds < r.rounds) {
				todo = append(todo, x.Name)
			}
		}
		if len(todo) == 0 {
			return nil
		}
		s, resumed := r.unfinished(result, contestants)
		if !resumed {
			s = r.open(result, contestants, todo, reference)
		}
		if err := r.sit(ctx, result, s, contestants, todo, parameters, resumed); err != nil {
			return errors.WithMessage(err, c.Name)
		}
		for _, m := range s.Measured {
			if m.Failed != "" {
				failed = append(failed, m.Name)
			}
		}
	}
}

// open begins a sitting of those who have not been measured, after the reference, and forgets sittings in which all failed.
func (r *runner) open(result *Result, contestants []Contestant, todo []string, reference string) *Sitting {
	result.Sittings = slices.DeleteFunc(result.Sittings, func(s Sitting) bool {
		return !slices.ContainsFunc(s.Measured, func(m Measured) bool { return m.Failed == "" })
	})
	s := r.origin
	s.Started, s.Rounds = time.Now().UTC().Truncate(time.Second), r.rounds
	for _, x := range contestants {
		if x.Name == reference {
			s.Measured = slices.Insert(s.Measured, 0, Measured{Name: x.Name})
		} else if slices.Contains(todo, x.Name) {
			s.Measured = append(s.Measured, Measured{Name: x.Name})
		}
	}
	result.Sittings = append(result.Sittings, s)
	return &result.Sittings[len(result.Sittings)-1]
}

// stored is what was measured of a case before, by this program on this machine.
func (r *runner) stored(c Case) (*Result, error) {
	empty := &Result{Schema: Schema, Case: c}
	if r.anew {
		return empty, nil
	}
	result, err := Load(c.path(r.dir))
	if errors.Is(err, fs.ErrNotExist) {
		return empty, nil
	}
	if err != nil {
		return nil, err
	}
	if result.Case != c {
		return nil, errors.Errorf("%s was measured of %+v; now asked for is %+v: measure it --anew, or into another --store", c.path(r.dir), result.Case, c)
	}
	for _, s := range result.Sittings {
		if o := r.origin; s.Commit != o.Commit || s.Machine.CPU != o.Machine.CPU || s.Machine.Cores != o.Machine.Cores {
			return nil, errors.Errorf("%s was measured at commit %.12s on %d cores of %q; this is %.12s on %d cores of %q: measure it --anew, or into another --store",
				c.path(r.dir), s.Commit, s.Machine.Cores, s.Machine.CPU, o.Commit, o.Machine.Cores, o.Machine.CPU)
		}
	}
	return result, nil
}

// unfinished is the last sitting, if it was interrupted and can go on.
func (r *runner) unfinished(result *Result, contestants []Contestant) (*Sitting, bool) {
	if len(result.Sittings) == 0 {
		return nil, false
	}
	s := &result.Sittings[len(result.Sittings)-1]
	if s.done() || s.Rounds != r.rounds {
		return nil, false
	}
	for _, m := range s.Measured {
		if m.Failed == "" && !slices.ContainsFunc(contestants, func(c Contestant) bool { return c.Name == m.Name }) {
			return nil, false
		}
	}
	return s, true
}

// sit starts the contestants of a sitting and measures them in turn, round by round. Where memory runs short, the last
// ones are left to another sitting, unless this one was begun with them.
func (r *runner) sit(ctx context.Context, result *Result, s *Sitting, contestants []Contestant, todo []string, parameters int, resumed bool) error {
	entrants, calls := map[string]entrant{}, map[string]int{}
	defer func() {
		for _, e := range entrants {
			e.stop()
		}
	}()
	largest := int64(0)
	for i := range s.Measured {
		m := &s.Measured[i]
		if m.Failed != "" {
			continue
		}
		if free := r.free(); !resumed && len(entrants) > 1 && free > 0 && free < largest*5/4 {
			r.say("  memory is short: %d contestants are measured afterwards", len(s.Measured)-i)
			s.Measured = s.Measured[:i]
			break
		}
		c := contestants[slices.IndexFunc(contestants, func(c Contestant) bool { return c.Name == m.Name })]
		e, ready, err := r.start(ctx, c, result.Case.OneCore)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.As(err, new(*otherNetwork)) {
			return errors.Errorf("%s has another network, so nothing is compared: %v", m.Name, err)
		}
		if err != nil {
			m.Failed = err.Error()
			r.say("  %s cannot be measured: %v", m.Name, err)
			continue
		}
		entrants[m.Name] = e
		if parameters == 0 && result.Case.Grows == "" {
			parameters = ready.Parameters
		}
		if result.Case.Grows == "" && ready.Parameters != parameters {
			return errors.Errorf("%s has a network of %d parameters, the others' has %d; that is another network, so nothing is compared",
				m.Name, ready.Parameters, parameters)
		}
		m.Parameters, m.Difference, m.Versions, m.Peak = ready.Parameters, ready.Difference, ready.Versions, max(m.Peak, ready.Peak)
		if m.Prepare == 0 {
			m.Prepare = ready.Prepare
		}
		calls[m.Name] = max(1, int(min(float64(r.most), math.Ceil(leastSeconds/ready.Call))))
		largest = max(largest, ready.Peak)
		r.say("  %s is ready after %.0f s: %s a call", m.Name, ready.Prepare, seconds(ready.Call))
	}
	if !slices.ContainsFunc(todo, func(name string) bool { return entrants[name] != nil }) {
		// The reference alone has been measured already.
		s.Measured = slices.DeleteFunc(s.Measured, func(m Measured) bool { return m.Failed == "" })
		return result.save(r.dir)
	}
	var others, watched float64 // seconds of processors that others took, and of the clock
	made := 0                   // rounds, whole ones
	for _, m := range s.Measured {
		if m.Failed == "" {
			made = len(m.Wall)
		}
	}
	for round := made; round < s.Rounds && len(entrants) > 0; round++ {
		samples := map[string]sample{}
		for i := range s.Measured {
			m := &s.Measured[(round+i)%len(s.Measured)]
			if m.Failed != "" {
				continue
			}
			if err := sleep(ctx, r.settle); err != nil {
				return err
			}
			before, unknown := busy()
			got, err := entrants[m.Name].measure(calls[m.Name])
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				m.Failed = err.Error()
				r.say("  %s is left out: %v", m.Name, err)
				entrants[m.Name].stop()
				delete(entrants, m.Name)
				continue
			}
			samples[m.Name] = got
			if after, err := busy(); err == nil && unknown == nil {
				others, watched = others+after-before-got.CPU, watched+got.Wall
			}
		}
		if watched > 0 {
			s.Load = max(s.Load, micro(others/watched))
		}
		for i := range s.Measured {
			m := &s.Measured[i]
			got, ok := samples[m.Name]
			if !ok {
				continue
			}
			n := float64(calls[m.Name])
			m.Wall, m.CPU, m.Peak = append(m.Wall, micro(got.Wall/n)), append(m.CPU, micro(got.CPU/n)), max(m.Peak, got.Peak)
			if result.Case.Grows != "" {
				m.Outside = append(m.Outside, micro(got.Outside/n))
			}
		}
		if err := result.save(r.dir); err != nil {
			return err
		}
	}
	return nil
}

// micro rounds seconds to microseconds: more is noise.
func micro(seconds float64) float64 { return math.Round(seconds*1e6) / 1e6 }

// sleep waits, unless ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (r *runner) say(format string, args ...any) { fmt.Fprintf(r.log, format+"\n", args...) }

// timed is how long f took.
func timed(f func() error) (seconds float64, err error) {
	start := time.Now()
	err = f()
	return time.Since(start).Seconds(), err
}
