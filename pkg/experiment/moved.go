package experiment

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"palimpsest/datasets"
	"palimpsest/pkg/settings"
)

// at is c with its images in the places of here, set by set, where both are sets of the user's own. A folder that was moved holds the
// same set: of such a difference the content hash decides, not the path.
func (c Config) at(here Config) Config {
	if c.Extends.SHA256 == here.Extends.SHA256 { // the same run, which may have been moved too
		c.Extends.Run = here.Extends.Run
	}
	if len(c.Benchmark.Datasets) != len(here.Benchmark.Datasets) {
		return c
	}
	c.Benchmark.Datasets = slices.Clone(c.Benchmark.Datasets)
	for i, set := range here.Benchmark.Datasets {
		if !slices.Contains(datasets.Names(), set) && !slices.Contains(datasets.Names(), c.Benchmark.Datasets[i]) {
			c.Benchmark.Datasets[i] = set
		}
	}
	return c
}

// moved says from where to where the images of the run in dir, which is c's, have come since it was claimed, "" if they have not.
func moved(c Config, dir string) (string, error) {
	path := filepath.Join(dir, configFile)
	text, err := settings.ReadFile(path)
	if err != nil {
		return "", err
	}
	have, err := decodeConfig(path, text)
	if err != nil {
		return "", err
	}
	before, now := strings.Join(have.Benchmark.Datasets, ", "), strings.Join(c.Benchmark.Datasets, ", ")
	if before == now {
		return "", nil
	}
	return fmt.Sprintf("%s: its images, before in %s, are now read from %s; their content hash is the same", dir, before, now), nil
}

// follow stores where the images of the run in dir are now, if they were moved, and says so. That they are the same has been seen.
func follow(c Config, dir string, say func(string)) error {
	line, err := moved(c, dir)
	if err != nil || line == "" {
		return err
	}
	if err := take(c, dir, false); err != nil {
		return err
	}
	say(line)
	return nil
}
