package experiment

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/results"
)

// stateVersion is the form of state.json. Version 0, from before versions were counted, has no sums with it.
const stateVersion = 1

// apartVersion is that of a state beside which a buffer has a file of its own.
const apartVersion = 2

// stateFile is the file of a checkpoint that holds a state.
const stateFile = "state.json"

// mostState is how many bytes a state may have, of which most are the images that a strategy keeps.
const mostState = 1 << 36

// state is everything a checkpoint holds besides the network's own file.
type state struct {
	Version     int                  `json:"version"`
	Position    cl.Position          `json:"position"`
	Strategy    []byte               `json:"strategy"`          // the strategy's own form
	Sampler     []byte               `json:"sampler,omitempty"` // of timesteps, the loop's own form
	Evaluations []results.Evaluation `json:"evaluations"`       // so far
	Losses      []results.LossPoint  `json:"losses"`
	LossSum     float64              `json:"loss_sum"` // since the last loss point
	LossCount   int                  `json:"loss_count"`
	Cost        results.Cost         `json:"cost"` // so far
	BPD         *results.BPDProtocol `json:"bpd,omitempty"`
	Sensitivity []results.BPDVariant `json:"sensitivity,omitempty"`
	Outside     []results.OutsideBPD `json:"outside,omitempty"`
	Command     string               `json:"command"`
	Started     string               `json:"started"` // RFC 3339
	Commit      string               `json:"commit"`  // of the checkout when the run began
	Dirty       bool                 `json:"dirty"`   // it had changes then, or was another one when the run went on

	Settings string `json:"settings"` // the run's configuration as YAML; "" in states from before it was kept

	Benchmark *results.Benchmark `json:"benchmark,omitempty"` // what is learned; null in states from before it was kept

	// Empty in states of version 0.
	Dynamics  string            `json:"dynamics_sha256,omitempty"`  // of what the probe had measured; "": nothing
	Images    string            `json:"images_sha256,omitempty"`    // [datasets.Benchmark.ContentHash]
	Extractor string            `json:"extractor_sha256,omitempty"` // of the metrics' network
	Stretches []results.Stretch `json:"stretches,omitempty"`        // this process's last
	Init      *results.Init     `json:"init,omitempty"`             // the model that the run began with; null: none
	Extends   *results.Extends  `json:"extends,omitempty"`          // the run that this one goes on with; null: none
	Pictures  map[string]string `json:"pictures_sha256,omitempty"`  // of the sheets of samples, by their paths in the run folder

	Missing map[string]string `json:"missing,omitempty"` // as [results.Run] has it
}

// lacks stores that the run is without something, and why.
func (s *state) lacks(what, why string) {
	if s.Missing == nil {
		s.Missing = map[string]string{}
	}
	s.Missing[what] = why
}

// errVersion refuses a state of a newer program, which is not damaged.
var errVersion = errors.New("use the newer program that wrote it")

// errSettings refuses a state of a run with other settings, which is not damaged.
var errSettings = errors.New("set them back in " + configFile + ", or name another folder to start again")

// errImages refuses a state of a run on other images, which is not damaged.
var errImages = errors.New("bring the first ones back (a set fetched since may have taken the place of another, or the files were changed), or name another folder to start again")

// sameImages refuses images other than those that the state was made with, by their content hashes; of the sets named in the settings.
func (s *state) sameImages(images string, sets []string) error {
	if s.Images == "" || s.Images == images { // of version 0 nothing is known
		return nil
	}
	return errors.WithMessagef(errImages, "the run began on other images: their content hash was %s, that of what `%s` has here now is %s",
		s.Images, strings.Join(sets, ", "), images)
}

// freeSettings may change while a run is under way, no image and no weight depends on them but in its last digits: what the run
// is called, how often it is saved, and the cores and devices, which the result lists by stretch.
var freeSettings = []string{"name", "checkpoint_every", "keep_networks", "cores", "backend.devices"}

// bound are the differences but those in settings that may change.
func bound(all []difference) []difference {
	return slices.DeleteFunc(slices.Clone(all), difference.free)
}

// free says that a difference is in a setting that may change.
func (d difference) free() bool { return slices.Contains(freeSettings, d.key) }

// sameSettings refuses a configuration that differs in meaning from the one that the state was made with. A setting that was
// added since has its default there.
func (s *state) sameSettings(c Config) error {
	if s.Settings == "" {
		return nil
	}
	began, err := decodeConfig("settings", []byte(s.Settings))
	if err != nil {
		return errors.WithMessagef(errVersion, "its settings cannot be read (%v)", err)
	}
	return sameAsBegan(began, c)
}

// sameAsBegan refuses a configuration c that differs in meaning from the one that a run began with.
func sameAsBegan(began, c Config) error {
	different := bound(differences(began.at(c), c))
	if len(different) == 0 {
		return nil
	}
	return errors.WithMessagef(errSettings, "it was made with other settings than %s has now (%s)", configFile, writeDifferences(different))
}

// readState reads the state of a checkpoint.
func readState(folder string) (*state, error) {
	text, err := atomicfile.Read(filepath.Join(folder, stateFile), mostState)
	if err != nil {
		return nil, err
	}
	return parseState(text)
}

// parseState reads the text of a state and reports what no run could have written.
func parseState(text []byte) (*state, error) {
	s := new(state)
	if err := json.Unmarshal(text, s); err != nil {
		return nil, errors.Wrap(err, stateFile)
	}
	if s.Version > apartVersion {
		return nil, errors.WithMessagef(errVersion, "%s has version %d, this program reads 0 to %d", stateFile, s.Version, apartVersion)
	}
	if _, err := time.Parse(time.RFC3339, s.Started); err != nil {
		return nil, errors.Wrapf(err, "%s: started", stateFile)
	}
	for _, st := range s.Stretches {
		if st.FromStep < 0 || st.FromStep > s.Position.Total || st.Cores < 0 {
			return nil, errors.Errorf("%s: a stretch from step %d on %d cores, in a run of %d steps so far", stateFile, st.FromStep, st.Cores, s.Position.Total)
		}
	}
	return s, nil
}

// check reports a state in which no run of the plan can be: a position that is none, measurements or losses that do not
// belong to it. JSON has no infinite numbers, so none need be looked for.
func (s *state) check(p cl.Plan) error {
	if err := p.Check(s.Position); err != nil {
		return err
	}
	if len(s.Evaluations) != s.Position.Phase {
		return errors.Errorf("%d measurements at phase %d; every phase before it has one", len(s.Evaluations), s.Position.Phase)
	}
	for i, e := range s.Evaluations {
		if e.Step != p.Before(i+1) || len(p.Steps) > 1 && e.AfterTask != i || len(e.Tasks) == 0 {
			return errors.Errorf("measurement %d is of %d tasks after task %d, at step %d; need some, after task %d, at step %d",
				i+1, len(e.Tasks), e.AfterTask, e.Step, i, p.Before(i+1))
		}
	}
	last := 0
	if p.Known {
		last = p.Steps[0]
	}
	for _, l := range s.Losses {
		if l.Step <= last || l.Task < 0 {
			return errors.Errorf("the loss of step %d of task %d is stored after that of step %d", l.Step, l.Task, last)
		}
		last = l.Step
	}
	if s.LossCount < 0 || last+s.LossCount != s.Position.Total {
		return errors.Errorf("losses up to step %d and of %d steps more; the position is step %d", last, s.LossCount, s.Position.Total)
	}
	return nil
}

// checkpointName is a checkpoint's folder by phase and step within it.
func checkpointName(p cl.Position) string { return fmt.Sprintf("phase%02d-step%06d", p.Phase, p.Step) }

var checkpointPattern = regexp.MustCompile(`^phase(\d+)-step(\d+)$`)

// parseCheckpointName is the phase and the step of a checkpoint's folder; ok is false for anything else.
func parseCheckpointName(name string) (phase, step int, ok bool) {
	m := checkpointPattern.FindStringSubmatch(name)
	if m == nil {
		return 0, 0, false
	}
	phase, errPhase := strconv.Atoi(m[1])
	step, errStep := strconv.Atoi(m[2])
	return phase, step, errPhase == nil && errStep == nil
}

// checkpoints lists the checkpoints of a run folder by name, oldest first. It changes nothing; what is being written or
// was set aside is not among them.
func checkpoints(dir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(dir, "checkpoints"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.WithStack(err)
	}
	var names []string
	for _, e := range entries {
		if _, _, ok := parseCheckpointName(e.Name()); ok && e.IsDir() {
			names = append(names, e.Name())
		}
	}
	// By number: names have as many digits as they need, so the text says nothing of the order.
	slices.SortFunc(names, func(a, b string) int {
		phaseA, stepA, _ := parseCheckpointName(a)
		phaseB, stepB, _ := parseCheckpointName(b)
		return cmp.Or(cmp.Compare(phaseA, phaseB), cmp.Compare(stepA, stepB), cmp.Compare(a, b))
	})
	return names, nil
}

// readCheckpoint reads the state of a checkpoint whose files are as they were written, and which a run of the plan can
// be in, made with the settings of c.
func readCheckpoint(folder string, c Config, p cl.Plan) (*state, error) {
	summed, err := checkSums(folder)
	if err != nil {
		return nil, err
	}
	s, err := readState(folder)
	if err != nil {
		return nil, err
	}
	if s.Version != 0 && !summed {
		return nil, errors.Errorf("it has no %s", sumsFile)
	}
	if err := s.sameSettings(c); err != nil {
		return nil, err
	}
	if err := s.check(p); err != nil {
		return nil, err
	}
	if phase, step, _ := parseCheckpointName(filepath.Base(folder)); phase != s.Position.Phase || step != s.Position.Step {
		return nil, errors.Errorf("it holds phase %d, step %d", s.Position.Phase, s.Position.Step)
	}
	return s, nil
}

// damage is a checkpoint that could not be used, and why.
type damage struct {
	name string
	err  error
}

// How often, and with how long between, the list of checkpoints is read again because one of them was removed while it was
// being read.
const (
	rotations     = 50
	rotationPause = 20 * time.Millisecond
)

// newestWhole gives use the checkpoints of the run folder dir, newest first, until it takes one, and returns that one's
// name and those passed over; the name is "" where none is taken. It changes nothing, and another process may be at work in
// the folder: a checkpoint that goes away meanwhile is no damage, there are newer ones then.
func newestWhole(dir string, use func(folder string) error) (name string, passed []damage, err error) {
	for range rotations {
		names, err := checkpoints(dir)
		if err != nil {
			return "", nil, err
		}
		passed, rotated := []damage(nil), false
		for _, name := range slices.Backward(names) {
			folder := filepath.Join(dir, "checkpoints", name)
			err := use(folder)
			if err == nil {
				return name, passed, nil
			}
			if _, gone := os.Stat(folder); errors.Is(gone, fs.ErrNotExist) {
				rotated = true
				break
			}
			if !isDamage(err) {
				return "", nil, errors.WithMessagef(err, "checkpoint %s", folder)
			}
			passed = append(passed, damage{name, err})
		}
		if !rotated {
			return "", passed, nil
		}
		time.Sleep(rotationPause)
	}
	return "", nil, errors.Errorf("the checkpoints of %s come and go faster than they can be read; try again when the run there has ended", dir)
}

// isDamage says that a checkpoint is not whole, rather than that it cannot be read just now or by this user.
func isDamage(err error) bool {
	for _, other := range []error{errVersion, errSettings, errImages, fs.ErrPermission, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM} {
		if errors.Is(err, other) {
			return false
		}
	}
	return true
}
