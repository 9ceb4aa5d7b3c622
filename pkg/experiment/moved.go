package experiment

import (
	"cmp"
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
	return decodeStored(path, text)
}

// moved says from where to where the images of the run in dir, claimed as have, have come in c, which is the run's, "" if they have not.
func moved(have, c Config, dir string) string {
	before, now := strings.Join(have.Benchmark.Datasets, ", "), strings.Join(c.Benchmark.Datasets, ", ")
	if before == now {
		return ""
	}
	return fmt.Sprintf("%s: its images, before in %s, are now read from %s; their content hash is the same", dir, before, now)
}

// changed says which of [freeSettings] c has otherwise than the run in dir, which is c's and was claimed as have, "" if none. A
// finished run has them as it was made.
func changed(have, c Config, dir string) string {
	if isFinished(dir) {
		return ""
	}
	free := slices.DeleteFunc(differences(have, c), func(d difference) bool { return !d.free() })
	if len(free) == 0 {
		return ""
	}
	var parts []string
	for _, d := range free {
		parts = append(parts, fmt.Sprintf("%s %s, before: %s", d.key, cmp.Or(d.here, "nothing"), cmp.Or(d.there, "nothing")))
	}
	return fmt.Sprintf("%s: goes on with %s; %s has it now", dir, strings.Join(parts, "; "), configFile)
}

// follow stores where the images of the run in dir are now, if they were moved, and which free settings it goes on with, and says so.
// That the images are the same has been seen.
func follow(c Config, dir string, say func(string)) error {
	have, err := claimedAs(dir)
	if err != nil {
		return err
	}
	lines := slices.DeleteFunc([]string{moved(have, c, dir), changed(have, c, dir)}, func(line string) bool { return line == "" })
	if len(lines) == 0 {
		return nil
	}
	if isFinished(dir) {
		c = c.finishedAs(have)
	}
	if err := take(c, dir, false); err != nil {
		return err
	}
	for _, line := range lines {
		say(line)
	}
	return nil
}

// finishedAs is c with the free settings of have, the configuration that a finished run was made with.
func (c Config) finishedAs(have Config) Config {
	c.Name, c.CheckpointEvery, c.KeepNetworks, c.Cores, c.Backend.Devices = have.Name, have.CheckpointEvery, have.KeepNetworks, have.Cores, have.Backend.Devices
	return c
}

// isFinished says whether the run in dir has its result.
func isFinished(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "result.json"))
	return err == nil
}
