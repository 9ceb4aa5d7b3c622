package experiment

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"

	"github.com/pkg/errors"
	"gopkg.in/yaml.v3"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/settings"
)

// configFile holds the configuration of a run folder, and makes it one.
const configFile = "config.yaml"

// makeFolder makes the folder dir with those above it; undo removes what was made, as long as nothing but a lock is in it.
func makeFolder(dir string) (undo func(), err error) {
	var made []string
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil || at == filepath.Dir(at) {
			break
		}
		made = append(made, at)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return func() {
		for i, folder := range made {
			if i == 0 {
				_ = os.Remove(filepath.Join(folder, holderFile))
				_ = os.Remove(filepath.Join(folder, lockFile))
			}
			if os.Remove(folder) != nil {
				return // something is in it
			}
		}
	}, nil
}

// claim makes dir the folder of c's run, or checks that it is; say gets a line on a folder that is taken over from a run that
// never began. nil: nobody is.
func claim(c Config, dir string, say func(string)) error {
	over, claimed, err := claimable(c, dir)
	if err != nil || claimed {
		return err
	}
	if over != "" && say != nil {
		say(over)
	}
	return take(c, dir, over != "")
}

// take stores c as the configuration of dir, which [claimable] gave; over says that it replaces another.
func take(c Config, dir string, over bool) error {
	text, err := yaml.Marshal(c)
	if err != nil {
		return errors.Wrap(err, "configuration")
	}
	if over {
		if err := keepReplaced(dir); err != nil {
			return err
		}
	}
	return atomicfile.Write(filepath.Join(dir, configFile), text)
}

// replaced begins the names under which the configurations of runs that never began are kept: somebody may have written
// them by hand.
const replaced = configFile + ".replaced"

// keepReplaced copies the configuration in dir to a name that is free.
func keepReplaced(dir string) error {
	text, err := settings.ReadFile(filepath.Join(dir, configFile))
	if err != nil {
		return err
	}
	to, err := freeName(filepath.Join(dir, replaced))
	if err != nil {
		return err
	}
	return atomicfile.Write(to, text)
}

// claimable says whether dir can be the folder of c's run: because it is (claimed), because it is empty except for what a run
// leaves that never began, or because the run it belongs to never began, in which case over says so. Anything else is an
// error: files that no run of this program left, a configuration that is none of this program's, or other settings, which
// it lists. [freeSettings] may differ. Settings are compared by what they mean: one that the stored configuration lacks, being older than it, has its
// default there. A setting whose absence means "not recorded" is therefore to have a default that says so.
func claimable(c Config, dir string) (over string, claimed bool, err error) {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return "", false, Refusef("%s is no folder; name one for the run, new or empty", dir)
	}
	if err := checkKinds(dir); err != nil {
		return "", false, err
	}
	path := filepath.Join(dir, configFile)
	text, err := settings.ReadFile(path)
	if os.IsNotExist(err) {
		if run, err := runAbove(dir); err != nil {
			return "", false, err
		} else if run != "" {
			return "", false, Refusef("%s is within the run folder %s; name a place outside it for the run", dir, run)
		}
		if _, _, err := keptSettings(dir); err == nil {
			return "", false, &damagedConfig{path, "is gone"}
		}
		return "", false, onlyLeftovers(dir)
	}
	if errors.Is(err, syscall.ENOTDIR) {
		return "", false, Refusef("%s cannot be a folder: a part of its path is a file; name another for the run", dir)
	}
	if err != nil {
		return "", false, err
	}
	have, err := decodeStored(path, text)
	if damaged := new(damagedConfig); errors.As(err, &damaged) {
		if began, beganErr := hasBegun(dir); beganErr != nil || began {
			return "", false, cmp.Or(beganErr, err)
		}
		return fmt.Sprintf("taking over %s: its %s %s, and the run it was made for never began; it is kept as %s", dir, configFile, damaged.what, replaced), false, nil
	}
	if err != nil {
		return "", false, errors.Errorf("%s holds a %s that this version cannot read (%v); if another version wrote it use that one, else name another folder", dir, configFile, err)
	}
	different := bound(differences(have, c))
	if len(different) == 0 {
		return "", true, nil
	}
	why := writeDifferences(different)
	began, err := hasBegun(dir)
	if err != nil {
		return "", false, err
	}
	if began && len(bound(differences(have.at(c), c))) == 0 {
		return "", true, nil // whoever goes on looks at the images: see sameImages and checkFinished
	}
	if !began {
		return fmt.Sprintf("taking over %s: the run it was made for never began (%s); its configuration is kept as %s", dir, why, replaced), false, nil
	}
	return "", false, errors.Errorf("%s holds a run with other settings (%s); name another folder", dir, why)
}

// checkKinds refuses a run folder that has a file where a run keeps a folder, or a folder where it keeps a file.
func checkKinds(dir string) error {
	for name, folder := range map[string]bool{"checkpoints": true, "samples": true, "snapshots": true, "likelihood": true, logName: false, "result.json": false} {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if err != nil || info.IsDir() == folder {
			continue
		}
		have, need := "a folder", "a file"
		if folder {
			have, need = "no folder", "a folder"
		}
		return errors.Errorf("%s is %s, and a run keeps %s there; move it elsewhere, then give the same command again", path, have, need)
	}
	return nil
}

// runAbove is the folder of the run in which a path lies or which it is, by its name or by where symbolic links lead, "" where there
// is none.
func runAbove(path string) (string, error) {
	named, err := filepath.Abs(path)
	if err != nil {
		return "", errors.WithStack(err)
	}
	for _, at := range []string{named, withoutLinks(named)} {
		for ; ; at = filepath.Dir(at) {
			if _, err := os.Stat(filepath.Join(at, configFile)); err == nil { // a configuration alone may be somebody's own
				for _, name := range []string{"result.json", "checkpoints"} {
					if _, err := os.Stat(filepath.Join(at, name)); err == nil {
						return at, nil
					}
				}
			}
			if at == filepath.Dir(at) {
				break
			}
		}
	}
	return "", nil
}

// withoutLinks is an absolute path with the symbolic links resolved in as much of it as is there.
func withoutLinks(path string) string {
	for at, rest := path, ""; ; at, rest = filepath.Dir(at), filepath.Join(filepath.Base(at), rest) {
		if real, err := filepath.EvalSymlinks(at); err == nil {
			return filepath.Join(real, rest)
		}
		if at == filepath.Dir(at) {
			return path
		}
	}
}

// onlyLeftovers reports what is in the folder dir, which has no configuration, unless runs that never began left it.
func onlyLeftovers(dir string) error {
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return errors.WithStack(err)
	}
	var foreign []string
	for _, e := range entries {
		name := e.Name()
		events, _ := filepath.Match(eventsPattern, name)
		if name != lockFile && name != holderFile && name != logName && !events && !halfFile.MatchString(name) && !strings.HasPrefix(name, atomicfile.Unfinished) {
			foreign = append(foreign, name)
		}
	}
	if len(foreign) == 0 {
		return nil
	}
	const most = 3
	names := strings.Join(foreign[:min(len(foreign), most)], ", ")
	if more := len(foreign) - most; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return errors.Errorf("%s is no run folder: it holds %s, and no %s; name a folder that is empty or does not exist yet", dir, names, configFile)
}

// hasBegun says whether the run in a folder has left anything of its work: a checkpoint, a measurement or a result.
func hasBegun(dir string) (bool, error) {
	for _, pattern := range []string{"result.json", "*.csv", "samples/*", "snapshots/*", "checkpoints/*"} {
		found, err := atomicfile.Glob(dir, pattern)
		if err != nil {
			return false, errors.WithStack(err)
		}
		for _, file := range found {
			if !strings.HasPrefix(filepath.Base(file), atomicfile.Unfinished) {
				return true, nil
			}
		}
	}
	return false, nil
}

// difference is a setting with two values.
type difference struct{ key, there, here string }

// differences lists the settings in which two configurations differ in meaning.
func differences(there, here Config) []difference {
	a, b := flatten(there), flatten(here)
	var out []difference
	for _, s := range a {
		if value, ok := valueOf(b, s.key); !ok || value != s.value {
			out = append(out, difference{s.key, s.value, value})
		}
	}
	for _, s := range b {
		if _, ok := valueOf(a, s.key); !ok {
			out = append(out, difference{s.key, "", s.value})
		}
	}
	return out
}

// mostDifferences is how many are listed.
const mostDifferences = 6

// writeDifferences writes "benchmark.classes: there [9 2 5], here [9 2 5 0]; …".
func writeDifferences(all []difference) string {
	var parts []string
	for _, d := range all[:min(len(all), mostDifferences)] {
		parts = append(parts, fmt.Sprintf("%s: there %s, here %s", d.key, cmp.Or(d.there, "nothing"), cmp.Or(d.here, "nothing")))
	}
	if more := len(all) - mostDifferences; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}

// setting is one setting and its value, written.
type setting struct{ key, value string }

// valueOf is the value of a setting of a list.
func valueOf(all []setting, key string) (string, bool) {
	i := slices.IndexFunc(all, func(s setting) bool { return s.key == key })
	if i < 0 {
		return "", false
	}
	return all[i].value, true
}

// flatten lists the settings of a configuration in their order, those of the strategy with its defaults.
func flatten(c Config) []setting {
	var all []setting
	var walk func(v reflect.Value, path string)
	walk = func(v reflect.Value, path string) {
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
			key := name
			if path != "" {
				key = path + "." + name
			}
			switch field := v.Field(i); {
			case key == "strategy":
				all = append(all, strategySettings(c.Strategy)...)
			case field.Kind() == reflect.Struct:
				walk(field, key)
			default:
				value := fmt.Sprint(field.Interface())
				if lists, ok := field.Interface().([][]string); ok {
					value = fmt.Sprintf("%q", lists) // names may have blanks in them
				}
				all = append(all, setting{key, value})
			}
		}
	}
	walk(reflect.ValueOf(c), "")
	return all
}

// strategySettings are the name and all settings of a strategy, in the order of their names. Of one that this program does
// not know they are those given.
func strategySettings(spec cl.Spec) []setting {
	all := []setting{{"strategy.name", cl.FullName(spec.Name)}}
	values := spec.Settings
	if s, err := cl.New(spec); err == nil {
		if full, err := cl.Settings(s); err == nil {
			values = full
		}
	}
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		all = append(all, setting{"strategy." + key, fmt.Sprint(values[key])})
	}
	return all
}
