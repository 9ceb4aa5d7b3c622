package cl

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/pkg/errors"
)

// method is a strategy that another package brought.
type method struct {
	name   string
	create func() Strategy
}

// registered are the strategies that [Register] added in this process.
var registered struct {
	sync.RWMutex
	methods []method
}

// strategyName is what a name may be: it is part of folder names and, joined by "+", of compositions.
var strategyName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// Register makes a strategy of another package known by its name in this process: to [New], so in configurations, runs and
// compositions such as "mine+ewc_rank1", and to [All] and [Names]. create returns a new strategy with its default settings
// at each call. Programs call Register before anything else, in main or in an init function; a notebook calls it in a function
// whose name begins with "init_", which every later cell then runs first. Other processes, such as the commands of this
// repository, know the strategy only if they register it themselves.
//
// It is an error if the name is taken or is not made of lower-case letters, digits and underscores, if the strategy is not a
// pointer to a struct or is the same one at each call, if a line of its [Info] is missing, if its label does not begin with
// its name, or if its default settings cannot be written to a configuration, read from one, or used.
func Register(create func() Strategy) error {
	if create == nil {
		return errors.New("cl: Register is given no function; give it one that returns a new strategy at each call")
	}
	first := create()
	if err := checkForm(first, create()); err != nil {
		return err
	}
	info := first.Info()
	if !strategyName.MatchString(info.Name) {
		return errors.Errorf("cl: a strategy cannot be named %q; choose a name of lower-case letters, digits and underscores that begins with a letter, such as \"er_mine\"", info.Name)
	}
	if err := checkInfo(first); err != nil {
		return err
	}
	if err := checkDefaults(create); err != nil {
		return errors.WithMessagef(err, "the default settings of strategy %q", info.Name)
	}
	registered.Lock()
	defer registered.Unlock()
	_, short := abbreviations[info.Name]
	taken := short || slices.ContainsFunc(registered.methods, func(m method) bool { return m.name == info.Name })
	if taken || slices.ContainsFunc(registry, func(create func() Strategy) bool { return create().Info().Name == info.Name }) {
		return errors.Errorf("cl: there is a strategy named %q already; choose another name", info.Name)
	}
	registered.methods = append(registered.methods, method{info.Name, create})
	return nil
}

// known makes each strategy of this package and each one registered.
func known() []func() Strategy {
	registered.RLock()
	defer registered.RUnlock()
	all := slices.Clone(registry)
	for _, m := range registered.methods {
		all = append(all, m.create)
	}
	return all
}

// checkForm reports a strategy whose settings no configuration could change, or would change for all runs at once.
func checkForm(s, again Strategy) error {
	if s == nil || again == nil {
		return errors.New("cl: the function given to Register returns no strategy; it must return a new one at each call")
	}
	t := reflect.TypeOf(s)
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return errors.Errorf("cl: strategy %s is not a pointer to a struct, so its settings cannot be set; return &%s{...}", t, t.Name())
	}
	// Pointers to structs without fields may be equal though they are new.
	if t.Elem().Size() > 0 && reflect.ValueOf(s).Pointer() == reflect.ValueOf(again).Pointer() {
		return errors.Errorf("cl: the function given to Register returns the same %s at each call; runs would share it, so return a new one", t)
	}
	for i := range t.Elem().NumField() {
		f := t.Elem().Field(i)
		if tag := f.Tag.Get("yaml"); tag != "" && tag != "-" && !f.Anonymous && !f.IsExported() {
			return errors.Errorf("cl: strategy %s has a setting in its field %s, which no configuration can set; begin the field with a capital letter, or leave out its yaml tag", t, f.Name)
		}
		if f.Anonymous && f.Tag.Get("yaml") == "" && f.IsExported() {
			return errors.Errorf("cl: strategy %s embeds %s without a yaml tag; write `yaml:\",inline\"` behind it to make its settings the strategy's own, or `yaml:\"-\"` to leave them out", t, f.Type)
		}
	}
	return nil
}

// checkInfo reports what a strategy does not say of itself.
func checkInfo(s Strategy) error {
	info := s.Info()
	for _, line := range []struct{ what, text string }{
		{"Title", info.Title}, {"Paper", info.Paper}, {"Equation", info.Equation}, {"Stores", info.Stores},
	} {
		if strings.TrimSpace(line.text) == "" || strings.Contains(line.text, "\n") {
			return errors.Errorf("cl: strategy %q has %q for Info.%s; need one line", info.Name, line.text, line.what)
		}
	}
	if info.Borders != NeedsBorders && (info.Restarts || info.Stream == SeenTasks) {
		return errors.Errorf("cl: strategy %q says that it needs no borders between tasks, but it starts anew at each task or learns from all tasks so far; leave out Info.Borders", info.Name)
	}
	if !strings.HasPrefix(s.Label(), info.Name) {
		return errors.Errorf("cl: the label %q of strategy %q does not begin with its name; LabelOf makes one that does", s.Label(), info.Name)
	}
	return nil
}

// checkDefaults reports default settings that a configuration could not hold or that no run can use.
func checkDefaults(create func() Strategy) error {
	settings, err := Settings(create())
	if err != nil {
		return err
	}
	s := create()
	if err := decode(s, settings); err != nil {
		return err
	}
	return s.Validate()
}
