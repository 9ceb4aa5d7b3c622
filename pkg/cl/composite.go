package cl

import (
	"cmp"
	"context"
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/memory"
	"palimpsest/pkg/words"
)

// Composite is several methods at once, named with "+" between them: "er+ewc_rank1+lwf". Their losses add up, with the
// weight each has by itself:
//
//	L = f·mean(loss_fresh) + Σ over parts of the part's own terms
//
// The factor f of the fresh rows has one owner. A part whose schedule scales them, such as "1-1/k", says what it is; parts
// that scale them alike share it, so that two of schedule "1-1/k" give f = 1/k once, together with (1-1/k)·λ of each; and a part that
// does not scale them, such as er with any other schedule, has no say in it. Parts that scale them differently, which
// those of this package never do, are refused at the first step where they do. Each part looks at fresh rows as they
// would weigh if it were alone, and so does what it learns of a step's losses.
//
// The replay rows are divided: parts that use them share the loop's evenly, the first ones getting one more where it does not
// come out even, unless they name their own number. Parts that ask for none take no share. A setting of a part is
// named by the part and the setting, "er_lambda", or by the setting alone where no other part has it. Each network extension
// exists once: two parts cannot both hold weights by the quadratic penalty or say which of them train, or have different
// teachers. One part at most gets the task at sampling.
type Composite struct {
	names []string
	parts []Strategy
	rows  []int // replay rows of each part, once the loop has asked
}

// freshWeights are the weights of a step's fresh rows.
type freshWeights []float32

// newComposite returns the methods named with their default settings.
func newComposite(name string) (*Composite, error) {
	c := &Composite{names: strings.Split(name, "+")}
	for i, part := range c.names {
		if slices.Contains(c.names[:i], part) {
			return nil, errors.Errorf("cl: %.100q names %.100q twice; name each method once", name, part)
		}
		s, err := create(part)
		if err != nil {
			return nil, errors.WithMessagef(err, "in %.100q", name)
		}
		if s.Info().Stream != CurrentTask {
			return nil, errors.Errorf("cl: %.100q cannot be part of %.100q: it trains on a stream of its own", part, name)
		}
		if s.Info().Restarts {
			return nil, errors.Errorf("cl: %.100q cannot be part of %.100q: it starts from new weights at each task", part, name)
		}
		c.parts = append(c.parts, s)
	}
	return c, nil
}

// Info implements [Strategy].
func (c *Composite) Info() Info {
	info := Info{Name: strings.Join(c.names, "+"),
		Title:    c.each(" and ", func(i Info) string { return i.Title }),
		Paper:    c.each("; ", func(i Info) string { return i.Paper }),
		Equation: c.each("; ", func(i Info) string { return i.Name + ": " + i.Equation }),
		Stores:   c.each("; ", func(i Info) string { return i.Stores }),
		Stream:   CurrentTask}
	info.Borders = NoBorders
	for _, p := range c.parts {
		part := p.Info()
		info.Borders, info.Labels = min(info.Borders, part.Borders), info.Labels || part.Labels
		info.Teacher = cmp.Or(info.Teacher, part.Teacher)
		info.TaskAtSampling = info.TaskAtSampling || part.TaskAtSampling
	}
	return info
}

// UseTask implements [Strategy]: one part at most has something to do.
func (c *Composite) UseTask(task int) error {
	for i, p := range c.parts {
		if !p.Info().TaskAtSampling {
			continue
		}
		if err := p.UseTask(task); err != nil {
			return errors.WithMessagef(err, "part %s", c.names[i])
		}
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
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		value := settings[key]
		switch owner := owners[key]; len(owner) {
		case 0:
			return errors.Errorf("cl: strategy %q has no setting %.100q%s; it has %v", c.Info().Name, key, words.DidYouMean(key, known), known)
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
			return errors.Errorf("cl: strategy %q has setting %.100q in several parts; say which: %v", c.Info().Name, key, choices)
		}
	}
	for i, p := range c.parts {
		if err := decode(p, own[i]); err != nil {
			return err
		}
	}
	return nil
}

// Validate implements [Strategy].
func (c *Composite) Validate() error {
	teacher, told := "", ""
	all := make([]diffusion.Extra, len(c.parts))
	for i, p := range c.parts {
		if p.Info().TaskAtSampling {
			if told != "" {
				return errors.Errorf("cl: %s and %s both change the network's weights by the task at sampling; leave one of them out", told, c.names[i])
			}
			told = c.names[i]
		}
		if err := p.Validate(); err != nil {
			return err
		}
		all[i] = p.Needs(Setup{Tasks: 2})
		for k, other := range all[:i] {
			if both := other.Clash(all[i]); both != "" {
				return errors.Errorf("cl: %s and %s both %s; leave one of them out", c.names[k], c.names[i], both)
			}
		}
		if all[i].Teacher {
			own := p.Info().Teacher
			if teacher != "" && own != teacher {
				return errors.Errorf("cl: the parts of %s have teachers %q and %q, but the network has one; set all to the same", c.Info().Name, teacher, own)
			}
			teacher = own
		}
	}
	return nil
}

// Needs implements [Strategy].
func (c *Composite) Needs(s Setup) (all diffusion.Extra) {
	rows := c.rows
	if rows == nil {
		rows = c.share(s.ReplayRows)
	}
	for i, p := range c.parts {
		s := s
		s.ReplayRows = rows[i]
		all = all.Merge(p.Needs(s))
	}
	return all
}

// share divides a loop's replay rows over the parts.
func (c *Composite) share(loop int) []int {
	var users []int
	for i, p := range c.parts {
		if p.ReplayRows(1) > 0 {
			users = append(users, i)
		}
	}
	rows := make([]int, len(c.parts))
	for k, i := range users {
		part := loop / len(users)
		if k < loop%len(users) {
			part++
		}
		rows[i] = c.parts[i].ReplayRows(part)
	}
	return rows
}

// ReplayRows implements [Strategy]: the sum of the parts'.
func (c *Composite) ReplayRows(loop int) int {
	c.rows = c.share(loop)
	sum := 0
	for _, rows := range c.rows {
		sum += rows
	}
	return sum
}

// Check implements [Strategy].
func (c *Composite) Check(s Setup) error { return c.prepare(s, Strategy.Check) }

// Begin implements [Strategy].
func (c *Composite) Begin(s Setup) error {
	if err := c.Validate(); err != nil {
		return err
	}
	return c.prepare(s, Strategy.Begin)
}

// prepare calls f for each part with the setup as the part is to see it.
func (c *Composite) prepare(s Setup, f func(Strategy, Setup) error) error {
	if c.rows == nil { // not in a loop, which asks first
		c.rows = c.share(s.ReplayRows)
	}
	for i, p := range c.parts {
		setup := s
		setup.ReplayRows = c.rows[i]
		if err := f(p, setup); err != nil {
			return errors.WithMessagef(err, "part %s of %s, which has %d of %d replay rows", c.names[i], c.Info().Name, setup.ReplayRows, s.ReplayRows)
		}
	}
	return nil
}

// Generated implements [Strategy].
func (c *Composite) Generated() (all []Generated) {
	for i, p := range c.parts {
		for _, of := range p.Generated() {
			of.Method = c.names[i]
			all = append(all, of)
		}
	}
	return all
}

// Warnings implements [Strategy].
func (c *Composite) Warnings() (all []string) {
	for _, p := range c.parts {
		all = append(all, p.Warnings()...)
	}
	return all
}

// Close implements [Strategy].
func (c *Composite) Close() {
	for _, p := range c.parts {
		p.Close()
	}
}

// within calls f for each part with the step as the part is to see it, except for the fresh rows' weights.
func (c *Composite) within(s *Step, f func(i int, p Strategy) error) error {
	offset, replay := s.offset, s.Replay
	defer func() { s.offset, s.Replay = offset, replay }()
	for i, p := range c.parts {
		s.Replay = c.rows[i]
		if err := f(i, p); err != nil {
			return errors.WithMessagef(err, "part %s", c.names[i])
		}
		s.offset += c.rows[i]
	}
	return nil
}

// Foresees implements [Strategy]: where all parts do.
func (c *Composite) Foresees() bool {
	return !slices.ContainsFunc(c.parts, func(p Strategy) bool { return !p.Foresees() })
}

// BeforeStep implements [Strategy].
func (c *Composite) BeforeStep(s *Step) error {
	fresh := s.Batch.W[:s.Fresh]
	plain := slices.Clone(freshWeights(fresh))
	owner := -1
	s.parts, s.whole = make([]freshWeights, len(c.parts)), plain
	err := c.within(s, func(i int, p Strategy) error {
		copy(fresh, plain)
		if err := p.BeforeStep(s); err != nil {
			return err
		}
		own := slices.Clone(freshWeights(fresh))
		s.parts[i] = own
		switch {
		case slices.Equal(own, plain):
		case owner < 0:
			owner, s.whole = i, own
		case !own.near(s.whole):
			return errors.Errorf("cl: at task %d, %s scales the fresh rows by %.3g and %s by %.3g, but they have one factor; give both the same schedule, or one of them a schedule that leaves fresh rows alone, such as %q",
				s.Task, c.names[owner], s.whole.over(plain), c.names[i], own.over(plain), ScheduleConstant)
		}
		return nil
	})
	copy(fresh, s.whole)
	return err
}

// near says whether weights are equal except for rounding.
func (w freshWeights) near(o freshWeights) bool {
	return slices.EqualFunc(w, o, func(a, b float32) bool { return math.Abs(float64(a-b)) <= 1e-6*math.Abs(float64(b)) })
}

// over is the factor between the sums of w and of o.
func (w freshWeights) over(o freshWeights) float64 {
	var sum, of float64
	for i := range w {
		sum, of = sum+float64(w[i]), of+float64(o[i])
	}
	return sum / of
}

// AfterStep implements [Strategy].
func (c *Composite) AfterStep(s *Step, r diffusion.StepResult) error {
	fresh := s.Batch.W[:s.Fresh]
	trained := slices.Clone(fresh) // the weights chosen, times what makes up for the timesteps drawn
	defer copy(fresh, trained)
	return c.within(s, func(i int, p Strategy) error {
		copy(fresh, trained)
		for row, own := range s.parts[i] {
			if chosen := s.whole[row]; own != chosen && chosen != 0 {
				fresh[row] = float32(float64(trained[row]) / float64(chosen) * float64(own))
			}
		}
		return p.AfterStep(s, r)
	})
}

// BeginTask implements [Strategy].
func (c *Composite) BeginTask(task int, train *datasets.Images) error {
	for i, p := range c.parts {
		if err := p.BeginTask(task, train); err != nil {
			return errors.WithMessagef(err, "part %s", c.names[i])
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

// Arrive implements [Strategy].
func (c *Composite) Arrive(images *datasets.Images) error {
	for i, p := range c.parts {
		if err := p.Arrive(images); err != nil {
			return errors.WithMessagef(err, "part %s", c.names[i])
		}
	}
	return nil
}

// Buffers implements [Strategy].
func (c *Composite) Buffers() (all []*memory.Buffer) {
	for _, p := range c.parts {
		all = append(all, p.Buffers()...)
	}
	return all
}

// Consolidate implements [Strategy].
func (c *Composite) Consolidate(ctx context.Context, task int, train *datasets.Images) error {
	for i, p := range c.parts {
		if err := p.Consolidate(ctx, task, train); err != nil {
			return errors.WithMessagef(err, "part %s", c.names[i])
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
