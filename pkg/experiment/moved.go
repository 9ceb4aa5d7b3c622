package experiment

import (
	"fmt"
	"os"
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

// claimedAs is the configuration that the folder dir was claimed for, as its file has it.
func claimedAs(dir string) (Config, error) {
	path := filepath.Join(dir, configFile)
	text, err := settings.ReadFile(path)
	if err != nil {
		return Config{}, err
	}
	return decodeConfig(path, text)
}

// moved says from where to where the images of the run in dir, which is c's, have come since it was claimed, "" if they have not.
func moved(c Config, dir string) (string, error) {
	have, err := claimedAs(dir)
	if err != nil {
		return "", err
	}
	before, now := strings.Join(have.Benchmark.Datasets, ", "), strings.Join(c.Benchmark.Datasets, ", ")
	if before == now {
		return "", nil
	}
	return fmt.Sprintf("%s: its images, before in %s, are now read from %s; their content hash is the same", dir, before, now), nil
}

// changed says which of [freeSettings] c has otherwise than the run in dir, which is c's, "" if none. A finished run has them as it was
// made.
func changed(c Config, dir string) (string, error) {
	if _, err := os.Stat(filepath.Join(dir, "result.json")); err == nil {
		return "", nil
	}
	have, err := claimedAs(dir)
	if err != nil {
		return "", err
	}
	free := slices.DeleteFunc(differences(have, c), func(d difference) bool { return !d.free() })
	if len(free) == 0 {
		return "", nil
	}
	var parts []string
	for _, d := range free {
		parts = append(parts, fmt.Sprintf("%s %s, before %s", d.key, wordOf(d.here), wordOf(d.there)))
	}
	return fmt.Sprintf("%s: goes on with %s; %s has it now", dir, strings.Join(parts, "; "), configFile), nil
}

// follow stores where the images of the run in dir are now, if they were moved, and which free settings it goes on with, and says so.
// That the images are the same has been seen.
func follow(c Config, dir string, say func(string)) error {
	var lines []string
	for _, look := range []func(Config, string) (string, error){moved, changed} {
		line, err := look(c, dir)
		if err != nil {
			return err
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return nil
	}
	if _, err := os.Stat(filepath.Join(dir, "result.json")); err == nil {
		var err error
		if c, err = c.finishedAs(dir); err != nil {
			return err
		}
	}
	if err := take(c, dir, false); err != nil {
		return err
	}
	for _, line := range lines {
		say(line)
	}
	return nil
}

// finishedAs is c with the free settings that the finished run in dir was made with.
func (c Config) finishedAs(dir string) (Config, error) {
	have, err := claimedAs(dir)
	if err != nil {
		return c, err
	}
	c.Name, c.CheckpointEvery, c.KeepNetworks, c.Cores, c.Backend.Devices = have.Name, have.CheckpointEvery, have.KeepNetworks, have.Cores, have.Backend.Devices
	return c, nil
}
