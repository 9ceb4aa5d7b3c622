package experiment

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/pkg/errors"
	"gopkg.in/yaml.v3"

	"palimpsest/pkg/results"
	"palimpsest/pkg/settings"
	"palimpsest/pkg/words"
)

// alwaysStored are the settings and sections that the configuration of a run folder has had from the first version on, the last
// of them near its end: a file without one of them was cut short, emptied or written by hand, and the defaults would take its place.
var alwaysStored = []string{"name", "seed", "benchmark", "network", "diffusion", "train", "loop", "strategy", "evaluate", "checkpoint_every"}

// damagedConfig says of a run's configuration what it lacks.
type damagedConfig struct {
	path string
	what string // "is empty"
}

// Error implements error. It says where else the settings are, if anywhere.
func (d *damagedConfig) Error() string {
	return fmt.Sprintf("%s %s, so it does not say what this run is; %s", d.path, d.what, mendConfig(filepath.Dir(d.path)))
}

// decodeStored is [decodeConfig] for the configuration of a run folder, which is stored whole. What is not, is a [damagedConfig].
func decodeStored(path string, text []byte) (Config, error) {
	doc, err := settings.Document(path, text)
	if err != nil {
		return DefaultConfig(), err
	}
	if doc == nil {
		return DefaultConfig(), &damagedConfig{path, "is empty"}
	}
	known, lacks := settingNames(reflect.TypeFor[Config]()), slices.Clone(alwaysStored)
	if doc.Kind != yaml.MappingNode {
		return decodeNode(path, doc)
	}
	for i := 0; i+1 < len(doc.Content); i += 2 {
		key := doc.Content[i].Value
		if _, ok := known[key]; !ok {
			return decodeNode(path, doc) // another program's, or a later version's: not damaged
		}
		lacks = slices.DeleteFunc(lacks, func(k string) bool { return k == key })
	}
	if len(lacks) > 0 {
		return DefaultConfig(), &damagedConfig{path, "is damaged (it lacks " + words.List(lacks) + ", which every stored configuration has)"}
	}
	return decodeNode(path, doc)
}

// mendConfig says what to do about the damaged configuration of the run folder dir.
func mendConfig(dir string) string {
	if _, from, err := keptSettings(dir); err == nil {
		return fmt.Sprintf("%s holds the settings: `go run . resume %s` puts them back", from, words.Shell(dir))
	}
	return "delete the folder and give the command again that made it"
}

// keptSettings are those of the run in dir which its result or its newest checkpoint holds; from names the file.
func keptSettings(dir string) (c Config, from string, err error) {
	from = filepath.Join(dir, "result.json")
	if r, err := results.Load(from); err == nil && len(r.Config) > 0 {
		text, err := json.Marshal(r.Config) // which is YAML too
		if err != nil {
			return c, from, errors.WithStack(err)
		}
		c, err := decodeStored(from, text)
		return c, from, err
	}
	names, err := checkpoints(dir)
	if err != nil {
		return c, "", err
	}
	for _, name := range slices.Backward(names) {
		from = filepath.Join(dir, "checkpoints", name, stateFile)
		if s, err := readState(filepath.Dir(from)); err == nil && s.Settings != "" {
			c, err := decodeStored(from, []byte(s.Settings))
			return c, from, err
		}
	}
	return c, "", errors.Errorf("nothing in %s holds the settings of its run", dir)
}

// putBack replaces the configuration of the run in dir, where it is damaged or gone, by the settings that its result or a checkpoint holds, and
// says so. The damaged one is kept beside it.
func putBack(dir string) (said string, err error) {
	path := filepath.Join(dir, configFile)
	text, err := settings.ReadFile(path)
	removed := errors.Is(err, fs.ErrNotExist)
	if err != nil && !removed || AtWork(dir) {
		return "", nil // it is for others to tell
	}
	if _, err = settings.Document(path, text); err == nil && !removed {
		if _, err = decodeStored(path, text); err == nil || !errors.As(err, new(*damagedConfig)) {
			return "", nil
		}
	}
	c, from, err := keptSettings(dir)
	if err != nil {
		return "", nil
	}
	if err := take(c, dir, !removed); err != nil {
		return "", err
	}
	if removed {
		return fmt.Sprintf("%s was gone: it has the settings of %s again", path, from), nil
	}
	return fmt.Sprintf("%s was damaged: it has the settings of %s again; what it was is kept as %s", path, from, replaced), nil
}
