package cl

import (
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/diffusion"
)

// Composite is several methods at once, named with "+" between them: "er+ewc_rank1+lwf". Their losses add up, with the
// weight each has by itself; a schedule that also scales the fresh rows' loss, such as "1-1/k", scales it for all.
//
// The replay rows are divided: parts that use them share the loop's evenly, the first ones getting one more where it does not
// come out even, unless they name their own number. Parts that ask for none ([Rower]) take no share. A setting of a part is
// named by the part and the setting, "er_lambda", or by the setting alone where no other part has it. Each network extension
// exists once: two parts cannot both hold weights by the quadratic penalty or say which of them train, or have different
// teachers. One part at most is told the task at sampling.
type Composite struct {
	names []string
	parts []Strategy
	rows  []int // replay rows of each part, once the loop has asked
}

// newComposite returns the methods named with their default settings.
func newComposite(name string) (*Composite, error) {
	c := &Composite{names: strings.Split(name, "+")}
	for i, part := range c.names {
		if slices.Contains(c.names[:i], part) {
			return nil, errors.Errorf("cl: %q names %q twice; name each method once", name, part)
		}
		s, err := create(part)
		if err != nil {
			return nil, errors.WithMessagef(err, "in %q", name)
		}
		if s.Info().Stream != CurrentTask {
			return nil, errors.Errorf("cl: %q cannot be part of %q: it trains on a stream of its own", part, name)
		}
		if r, ok := s.(Restarter); ok && r.Restarts() {
			return nil, errors.Errorf("cl: %q cannot be part of %q: it starts from new weights at each task", part, name)
		}
		c.parts = append(c.parts, s)
	}
	return c, nil
}

// Info implements [Strategy].
func (c *Composite) Info() Info {
	return Info{Name: strings.Join(c.names, "+"),
		Title:    c.each(" and ", func(i Info) string { return i.Title }),
		Paper:    c.each("; ", func(i Info) string { return i.Paper }),
		Equation: c.each("; ", func(i Info) string { return i.Name + ": " + i.Equation }),
		Stores:   c.each("; ", func(i Info) string { return i.Stores }),
		Stream:   CurrentTask, TaskAtSampling: c.switching() != nil}
}

// switching is the part that is told the task at sampling; nil: none is.
func (c *Composite) switching() Switcher {
	for _, p := range c.parts {
		if s, ok := p.(Switcher); ok && p.Info().TaskAtSampling {
			return s
		}
	}
	return nil
}

// UseTask implements [Switcher].
func (c *Composite) UseTask(task int) error {
	if s := c.switching(); s != nil {
		return s.UseTask(task)
	}
	return nil
}

// each joins one thing of all parts.
func (c *Composite) each(between string, of func(Info) string) string {
	var list []string
	for _, p := range c.parts {
		list = append(list, of(p.Info()))
	}
	return strings.Join(list, between)
}

// Label implements [Strategy]: the name, and in brackets the parts' labels.
func (c *Composite) Label() string {
	var labels []string
	for _, p := range c.parts {
		labels = append(labels, p.Label())
	}
	return c.Info().Name + " (" + strings.Join(labels, ", ") + ")"
}

// MarshalYAML returns the settings of all parts under the parts' names.
func (c *Composite) MarshalYAML() (any, error) {
	all := map[string]any{}
	for i, p := range c.parts {
		settings, err := Settings(p)
		if err != nil {
			return nil, err
		}
		for key, value := range settings {
			all[c.names[i]+"_"+key] = value
		}
	}
	return all, nil
}

// set gives the parts their settings.
func (c *Composite) set(settings map[string]any) error {
	own := make([]map[string]any, len(c.parts))
	var known []string
	owners := map[string][]int{} // by each name that a setting may be given under
	plain := map[string]string{} // the part's own name of it
	for i, p := range c.parts {
		own[i] = map[string]any{}
		of, err := Settings(p)
		if err != nil {
			return err
		}
		for _, key := range slices.Sorted(maps.Keys(of)) {
			full := c.names[i] + "_" + key
			known = append(known, full)
			for _, name := range []string{full, key} {
				owners[name], plain[name] = append(owners[name], i), key
			}
		}
	}
	for key, value := range settings {
		switch owner := owners[key]; len(owner) {
		case 0:
			return errors.Errorf("cl: strategy %q has no setting %q%s; it has %v", c.Info().Name, key, DidYouMean(key, known), known)
		case 1:
			if _, twice := own[owner[0]][plain[key]]; twice {
				return errors.Errorf("cl: strategy %q is given %q under two names; give it once", c.Info().Name, plain[key])
			}
			own[owner[0]][plain[key]] = value
		default:
			var choices []string
			for _, i := range owner {
				choices = append(choices, c.names[i]+"_"+key)
			}
			return errors.Errorf("cl: strategy %q has setting %q in several parts; say which: %v", c.Info().Name, key, choices)
		}
	}
	for i, p := range c.parts {
		if err := decode(p, own[i]); err != nil {
			return err
		}
	}
	return nil
}

// Validate implements [Validator].
func (c *Composite) Validate() error {
	held, masked, teacher, told := "", "", "", ""
	for i, p := range c.parts {
		if p.Info().TaskAtSampling {
			if told != "" {
				return errors.Errorf("cl: %s and %s both change the network's weights by the task at sampling; leave one of them out", told, c.names[i])
			}
			told = c.names[i]
		}
		if v, ok := p.(Validator); ok {
			if err := v.Validate(); err != nil {
				return err
			}
		}
		e, ok := p.(Extender)
		if !ok {
			continue
		}
		needs := e.Needs(Setup{Tasks: 2})
		if needs.Penalty {
			if held != "" {
				return errors.Errorf("cl: %s and %s both hold the weights by the network's one quadratic penalty; leave one of them out (ewc_rank1 goes with either)", held, c.names[i])
			}
			held = c.names[i]
		}
		if needs.Mask {
			if masked != "" {
				return errors.Errorf("cl: %s and %s both say which weights train; leave one of them out", masked, c.names[i])
			}
			masked = c.names[i]
		}
		if t, ok := p.(interface{ teacherSource() string }); ok && needs.Teacher {
			if teacher != "" && t.teacherSource() != teacher {
				return errors.Errorf("cl: the parts of %s have teachers %q and %q, but the network has one; set all to the same", c.Info().Name, teacher, t.teacherSource())
			}
			teacher = t.teacherSource()
		}
	}
	return nil
}

// Needs implements [Extender].
func (c *Composite) Needs(s Setup) (all diffusion.Extra) {
	rows := c.rows
	if rows == nil {
		rows = c.share(s.ReplayRows)
	}
	for i, p := range c.parts {
		if e, ok := p.(Extender); ok {
			s := s
			s.ReplayRows = rows[i]
			all = all.Merge(e.Needs(s))
		}
	}
	return all
}

// share divides a loop's replay rows over the parts.
func (c *Composite) share(loop int) []int {
	var users []int
	for i, p := range c.parts {
		if replayRows(p, 1) > 0 {
			users = append(users, i)
		}
	}
	rows := make([]int, len(c.parts))
	for k, i := range users {
		part := loop / len(users)
		if k < loop%len(users) {
			part++
		}
		rows[i] = replayRows(c.parts[i], part)
	}
	return rows
}

// ReplayRows implements [Rower]: the sum of the parts'.
func (c *Composite) ReplayRows(loop int) int {
	c.rows = c.share(loop)
	sum := 0
	for _, rows := range c.rows {
		sum += rows
	}
	return sum
}

// Begin implements [Strategy].
func (c *Composite) Begin(s Setup) error {
	if err := c.Validate(); err != nil {
		return err
	}
	if c.rows == nil { // not in a loop, which asks first
		c.rows = c.share(s.ReplayRows)
	}
	for i, p := range c.parts {
		setup := s
		setup.ReplayRows = c.rows[i]
		if err := p.Begin(setup); err != nil {
			return errors.WithMessagef(err, "part %s of %s, which has %d of %d replay rows", c.names[i], c.Info().Name, setup.ReplayRows, s.ReplayRows)
		}
	}
	return nil
}

// within calls f for each part with the step as the part is to see it.
func (c *Composite) within(s *Step, f func(Strategy) error) error {
	offset, replay := s.offset, s.Replay
	defer func() { s.offset, s.Replay = offset, replay }()
	for i, p := range c.parts {
		s.Replay = c.rows[i]
		if err := f(p); err != nil {
			return errors.WithMessagef(err, "part %s", c.names[i])
		}
		s.offset += c.rows[i]
	}
	return nil
}

// BeforeStep implements [Strategy].
func (c *Composite) BeforeStep(s *Step) error {
	return c.within(s, func(p Strategy) error { return p.BeforeStep(s) })
}

// AfterStep implements [Follower].
func (c *Composite) AfterStep(s *Step, r diffusion.StepResult) error {
	return c.within(s, func(p Strategy) error {
		if f, ok := p.(Follower); ok {
			return f.AfterStep(s, r)
		}
		return nil
	})
}

// BeginTask implements [Beginner].
func (c *Composite) BeginTask(task int, train *datasets.Images) error {
	for i, p := range c.parts {
		if b, ok := p.(Beginner); ok {
			if err := b.BeginTask(task, train); err != nil {
				return errors.WithMessagef(err, "part %s", c.names[i])
			}
		}
	}
	return nil
}

// EndTask implements [Strategy].
func (c *Composite) EndTask(task int, train *datasets.Images) error {
	for i, p := range c.parts {
		if err := p.EndTask(task, train); err != nil {
			return errors.WithMessagef(err, "part %s", c.names[i])
		}
	}
	return nil
}

// Consolidate implements [Consolidator].
func (c *Composite) Consolidate(ctx context.Context, task int, train *datasets.Images) error {
	for i, p := range c.parts {
		if k, ok := p.(Consolidator); ok {
			if err := k.Consolidate(ctx, task, train); err != nil {
				return errors.WithMessagef(err, "part %s", c.names[i])
			}
		}
	}
	return nil
}

// Stored implements [Strategy].
func (c *Composite) Stored() (all Stored) {
	var sets []*datasets.Images
	for _, p := range c.parts {
		s := p.Stored()
		if s.Images != nil && s.Images.N > 0 {
			sets = append(sets, s.Images)
		}
		all.Bytes += s.Bytes
		all.Parameters += s.Parameters
		all.ExtraEvaluations += s.ExtraEvaluations
	}
	if len(sets) > 0 {
		all.Images, _ = datasets.Concat(sets...) // of one run, so of one size
	}
	return all
}

// State implements [Strategy]: of each part the length of its state and the state.
func (c *Composite) State() ([]byte, error) {
	var all []byte
	for i, p := range c.parts {
		state, err := p.State()
		if err != nil {
			return nil, errors.WithMessagef(err, "part %s", c.names[i])
		}
		all = append(binary.LittleEndian.AppendUint64(all, uint64(len(state))), state...)
	}
	return all, nil
}

// Restore implements [Strategy].
func (c *Composite) Restore(state []byte) error {
	for i, p := range c.parts {
		size, rest, err := readCount(state)
		if err != nil || size > int64(len(rest)) {
			return errors.Errorf("cl: the stored state of %s ends within part %s; it belongs to another strategy or is damaged", c.Info().Name, c.names[i])
		}
		if err := p.Restore(rest[:size]); err != nil {
			return errors.WithMessagef(err, "part %s", c.names[i])
		}
		state = rest[size:]
	}
	if len(state) > 0 {
		return errors.Errorf("cl: %d bytes of state after the last part of %s; it belongs to another strategy", len(state), c.Info().Name)
	}
	return nil
}
