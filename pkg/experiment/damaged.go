package experiment

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"

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
	path := words.Shell(filepath.Join(dir, configFile))
	result := filepath.Join(dir, "result.json")
	if r, err := results.Load(result); err == nil && len(r.Config) > 0 {
		return fmt.Sprintf("the run is finished, and its result holds the settings: `jq .config %s > %s` puts them back", words.Shell(result), path)
	}
	names, err := checkpoints(dir)
	if err != nil {
		names = nil
	}
	for _, name := range slices.Backward(names) {
		folder := filepath.Join(dir, "checkpoints", name)
		if s, err := readState(folder); err == nil && s.Settings != "" {
			return fmt.Sprintf("its checkpoint holds the settings: `jq -r .settings %s > %s` puts them back", words.Shell(filepath.Join(folder, stateFile)), path)
		}
	}
	return "delete the folder and give the command again that made it"
}
