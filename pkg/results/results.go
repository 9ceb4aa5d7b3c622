// Package results holds the stored form of a finished run: one JSON file with its settings, seed, commit, machine,
// measurements and cost. pkg/experiment writes it, pkg/study and what builds on it read it.
//
// # Conventions
//
// A missing number is null (a nil pointer), never 0. Times are seconds, sizes bytes. FID, KID, FLD, label KL and label
// ARD are lower-is-better, the other metrics higher-is-better, except the memorised shares, which are neither: they
// qualify the others. Means over tasks, and unions, count each task by [Protocol.TaskWeights]. Evaluations are in the
// order of training; entry i of an evaluation's tasks is task i of the benchmark, so that metric m of them makes the
// matrix R[i,j] (after task i, on task j).
package results

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/oneline"
	"palimpsest/pkg/words"
)

// Schema is the version of the stored form; files of another version are refused.
const Schema = 1

// Run is one training run of one strategy with one seed.
type Run struct {
	Schema      int            `json:"schema"`
	Name        string         `json:"name"` // unique in its study, e.g. "er-lambda0.3-seed0"
	Strategy    Strategy       `json:"strategy"`
	Benchmark   Benchmark      `json:"benchmark"`
	Protocol    Protocol       `json:"protocol"`
	Config      map[string]any `json:"config"` // every setting, resolved
	Seed        uint64         `json:"seed"`
	Provenance  Provenance     `json:"provenance"`
	Evaluations []Evaluation   `json:"evaluations"`
	Losses      []LossPoint    `json:"losses"`
	Cost        Cost           `json:"cost"`

	// Sensitivity is the likelihood of every task's images under the final network, computed in other ways, and
	// Outside that of images of other sets; both only where the run was asked to.
	Sensitivity []BPDVariant `json:"sensitivity,omitempty"`
	Outside     []OutsideBPD `json:"outside,omitempty"`

	// Generated counts the images that the strategy drew from the network to replay them, a method's and a task's together;
	// null where it drew none or it was not recorded.
	Generated []Generated `json:"generated,omitempty"`

	// Folder is that of the file from which the run was read, as study.Open fills it in.
	Folder string `json:"-"`

	// Missing names what the run lacks of what it was asked for, and why: what was left out when it was written, as a number in it was none,
	// and what could not be made of files that were lost.
	Missing map[string]string `json:"missing,omitempty"`
}

// What [Run.Missing] calls files of the run folder that are missing or not of the whole run.
const (
	MissingAutopsy  = "autopsy"
	MissingDynamics = "losses by timestep"
)

// Generated counts, by class, the images that a method replayed in one task instead of stored ones.
type Generated struct {
	Method string `json:"method"`
	Task   int    `json:"task"` // in which they were replayed
	Images int    `json:"images"`
	Asked  []int  `json:"asked,omitempty"` // by the class asked for; null where the network takes none

	// Judged counts by the class that the run's classifier sees, Right, by the class asked for, the images in which it sees
	// that one: of a pool all, of images made at each step those of the task's first. null where there is no classifier.
	Judged []int `json:"judged,omitempty"`
	Right  []int `json:"right,omitempty"`
}

// Strategy says which method ran and with which settings.
type Strategy struct {
	Name     string         `json:"name"`  // "er"
	Label    string         `json:"label"` // how tables call it, e.g. "er λ=0.3"; equal for all seeds of a group
	Paper    string         `json:"paper"`
	Stores   string         `json:"stores"`
	Settings map[string]any `json:"settings"`
}

// Benchmark says what was learned, in which order.
type Benchmark struct {
	Dataset    string   `json:"dataset"`
	Scenario   string   `json:"scenario"` // "class-incremental" or "domain-incremental", and how images arrive where not task by task
	ClassNames []string `json:"class_names"`
	Tasks      []Task   `json:"tasks"`
	ImageSize  int      `json:"image_size"`            // height in pixels
	ImageWidth int      `json:"image_width,omitempty"` // in pixels; 0: as the height
	Channels   int      `json:"channels"`
	Prep       string   `json:"prep"` // "area 16", "pad 32", "crop 48×64"
}

// Sides are the height and the width of the images in pixels.
func (b Benchmark) Sides() (h, w int) {
	if b.ImageWidth == 0 {
		return b.ImageSize, b.ImageSize
	}
	return b.ImageSize, b.ImageWidth
}

// ClassName names a class, by its number where the benchmark has no names.
func (b *Benchmark) ClassName(class int) string {
	if class >= 0 && class < len(b.ClassNames) {
		return b.ClassNames[class]
	}
	return fmt.Sprintf("class %d", class)
}

// TaskTitle is the name of task i for captions and tables: of a task of many classes, whose name lists them all, some of them.
func (b *Benchmark) TaskTitle(i int) string {
	const long, shown = 60, 3
	t := b.Tasks[i]
	if utf8.RuneCountInString(t.Name) <= long || len(t.Classes) <= shown {
		return t.Name
	}
	names := make([]string, len(t.Classes))
	for k, c := range t.Classes {
		names[k] = b.ClassName(c)
	}
	return words.Some(names, shown)
}

// Task is one task's classes.
type Task struct {
	Name    string `json:"name"`
	Classes []int  `json:"classes"`
	Train   int    `json:"train"` // images
	Test    int    `json:"test"`
}

// Protocol says how every number of the run was measured.
type Protocol struct {
	SamplesPerTask  int     `json:"samples_per_task"`
	ReferenceSplit  string  `json:"reference_split"` // "test"
	ReferenceImages int     `json:"reference_images_per_task"`
	Extractor       string  `json:"extractor"`
	ExtractorSHA256 string  `json:"extractor_sha256"`
	FeatureDim      int     `json:"feature_dim"`
	Sampler         string  `json:"sampler"`
	SamplerSteps    int     `json:"sampler_steps"`
	Guidance        float64 `json:"guidance"`
	EMA             bool    `json:"ema"` // samples come from the averaged weights
	NearestK        int     `json:"nearest_k"`
	MemorisedRatio  float64 `json:"memorised_ratio"`

	Classifier *ClassifierProtocol `json:"classifier,omitempty"` // that names classes; null where there was none or it was not recorded

	// TaskWeights are the shares of each task's images among all reference images: what each task counts in every mean
	// over tasks and in every union. Absent in results from before tasks were weighed, where all count alike.
	TaskWeights []float64 `json:"task_weights,omitempty"`

	Copies *CopyProtocol `json:"copies,omitempty"` // null where copies were found by the ratio alone

	FLDImages int `json:"fld_images,omitempty"` // most images of each kind that FLD took; absent where it was not measured

	BPD *BPDProtocol `json:"bpd,omitempty"` // null where likelihoods were not measured
}

// ClassifierProtocol says what the classifier that judges samples has learned from, and how often it is right.
type ClassifierProtocol struct {
	Classes      int      `json:"classes"`
	Train        int      `json:"train_images"`
	Test         int      `json:"test_images"`
	TestAccuracy *float64 `json:"test_accuracy" in:"share"` // share of test images whose class it names
}

// PoorClassifier is the accuracy below which a classifier is called a poor judge.
const PoorClassifier = 0.75

// Sentence says how good the classifier is, "" of nil.
func (c *ClassifierProtocol) Sentence() string {
	if c == nil || c.TestAccuracy == nil {
		return ""
	}
	text := fmt.Sprintf("The classifier is right for %s %% of %d test images", words.Number(100**c.TestAccuracy, 1), c.Test)
	if *c.TestAccuracy >= PoorClassifier {
		return text + "."
	}
	return text + ": a poor judge, by whose class accuracy and label measures little can be said, and by whose features FID and its like see little of what the images show."
}

// CopyProtocol is the fixed yardstick of [Copies]: an image is a copy if its distance to the nearest image of a set is at
// most the given quantile of the distances between held-out images and the whole training set, whatever the set's size.
type CopyProtocol struct {
	Quantile         float64  `json:"quantile"`
	HeldOut          int      `json:"held_out"`           // real images of the reference split that set the thresholds
	Train            int      `json:"train"`              // training images of all tasks, to which their distances are
	TrainOf          int      `json:"train_of,omitempty"` // all training images there are, where not all are searched; 0: all are
	Mirrored         bool     `json:"mirrored"`           // training mirrors images, so a mirrored copy is a copy
	PixelThreshold   float64  `json:"pixel_threshold"`    // grey levels of 256, root mean square a pixel
	FeatureThreshold *float64 `json:"feature_threshold"`  // Euclidean, of the classifier's features; null without a classifier
}

// BPDProtocol says how the likelihoods of a run were measured.
type BPDProtocol struct {
	Images   int       `json:"images"`   // of every task
	Terms    int       `json:"terms"`    // timesteps an image, of T
	T        int       `json:"t"`        // timesteps of the process
	Variance string    `json:"variance"` // of the reverse process
	Clip     bool      `json:"clip"`     // whether estimates of x_0 are clipped to [-1, 1]
	Edges    []int     `json:"edges"`    // bin i of [BPD.Bins] holds the timesteps Edges[i] <= t < Edges[i+1]; t = 0 is the decoder's
	LogSNR   []float64 `json:"log_snr"`  // nats, mean of each bin's timesteps
}

// BPD is the variational bound on the negative log-likelihood of images, in bits per dimension: Prior + the sum of Bins +
// Decoder = Mean.
type BPD struct {
	Mean    float64   `json:"mean"`
	SE      float64   `json:"se"` // standard error of the estimate from few timesteps against all, images and noise being the same
	Prior   float64   `json:"prior"`
	Decoder float64   `json:"decoder"`
	Bins    []float64 `json:"bins"` // the terms of each bin's timesteps, summed
}

// BPDVariant is the likelihood by one way of computing it, the network being the same.
type BPDVariant struct {
	Name     string    `json:"name"` // "fixed-small, clipped"
	Variance string    `json:"variance"`
	Clip     bool      `json:"clip"`
	CDF      string    `json:"cdf"`   // the decoder's: "exact" or "tanh"
	Tasks    []float64 `json:"tasks"` // bits per dimension of each task's images
	SE       []float64 `json:"se"`
}

// OutsideBPD is the likelihood of images of a set the network was not trained on (or, to compare, was) by an
// unconditional network.
type OutsideBPD struct {
	Dataset string    `json:"dataset"`
	Images  int       `json:"images"`
	Mean    float64   `json:"mean"`
	SE      float64   `json:"se"`       // as [BPD.SE]
	ByImage []float64 `json:"by_image"` // bits per dimension of each image

	PixelsSHA256 string `json:"pixels_sha256,omitempty"` // of the prepared images, one after another; absent in results from before it was recorded
}

// Provenance says where the run came from.
type Provenance struct {
	Command  string    `json:"command"` // what makes it again
	Commit   string    `json:"commit"`  // "unknown" outside a checkout
	Dirty    bool      `json:"dirty"`   // the checkout had changes
	Machine  Machine   `json:"machine"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`

	// ImagesSHA256 is the content hash of the benchmark's images (datasets.Benchmark.ContentHash), and Stretches are the
	// parts in which the run was made, first to last: one where it was never interrupted. Absent in results from before
	// they were recorded; a first stretch that does not begin at step 0 went on with such a run.
	ImagesSHA256 string    `json:"images_sha256,omitempty"`
	Stretches    []Stretch `json:"stretches,omitempty"`

	// SkippedImages are the pictures that could not be read and that the run went on without, because it was told to
	// (benchmark.prep.skip_broken): file and reason.
	SkippedImages []string `json:"skipped_images,omitempty"`

	Init    *Init    `json:"init,omitempty"`    // null where the weights were drawn from the seed
	Extends *Extends `json:"extends,omitempty"` // null where the run began with its first task
}

// Extends is the finished run that a run goes on with. Its measurements come first among the run's own; what needs the tasks to
// come, or depends on them, is missing in those.
type Extends struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"` // of its result.json
	Tasks  int    `json:"tasks"`  // that it has learned
	Step   int    `json:"step"`   // optimiser steps it has done
}

// Init is the model that a run began with.
type Init struct {
	Name   string `json:"name"`   // as it was imported
	SHA256 string `json:"sha256"` // of all it holds
	Source string `json:"source"` // where it came from
}

// Stretch is what one process did of a run, and all, besides settings and images, that decides the last digits of its numbers.
type Stretch struct {
	FromStep     int               `json:"from_step"` // optimiser steps done before
	Started      time.Time         `json:"started"`
	Commit       string            `json:"commit"` // "unknown" outside a checkout
	Dirty        bool              `json:"dirty"`
	Backend      string            `json:"backend"`                 // as [Machine.Backend]
	PluginSHA256 string            `json:"plugin_sha256,omitempty"` // of XLA's library
	Environment  map[string]string `json:"environment,omitempty"`   // variables that XLA reads
	Cores        int               `json:"cores"`                   // that the process was kept to, by which XLA divides its work
	Devices      int               `json:"devices,omitempty"`       // that training steps were parted among; 0: one
	Arch         string            `json:"arch"`                    // "amd64"
	CPU          string            `json:"cpu"`
	GPU          string            `json:"gpu,omitempty"`
	Go           string            `json:"go"`
}

// Machine describes the computer of a run.
type Machine struct {
	OS      string `json:"os"`
	CPU     string `json:"cpu"`
	Cores   int    `json:"cores"` // that the run was kept to
	Memory  int64  `json:"memory_bytes"`
	GPU     string `json:"gpu,omitempty"`
	Go      string `json:"go"`
	Backend string `json:"backend"` // what ran the model: several, in their order, where the run went on with another
}

// Evaluation is everything measured at one moment of training.
type Evaluation struct {
	AfterTask int           `json:"after_task"` // index of the task just learned; len(tasks)-1 for joint training
	Step      int           `json:"step"`       // optimiser steps done so far
	Tasks     []TaskMetrics `json:"tasks"`
	Union     UnionMetrics  `json:"union"`
	Sheet     string        `json:"grid"` // PNG of samples, relative to the JSON file: a row a class, in task order
}

// TaskMetrics are the numbers of one task at one moment.
type TaskMetrics struct {
	Task            int      `json:"task"`
	N               int      `json:"n"` // generated images
	FID             *float64 `json:"fid" in:"positive"`
	KID             *float64 `json:"kid"`
	Precision       *float64 `json:"precision" in:"share"`
	Recall          *float64 `json:"recall" in:"share"`
	Density         *float64 `json:"density" in:"positive"`
	Coverage        *float64 `json:"coverage" in:"share"`
	ClassAccuracy   *float64 `json:"class_accuracy" in:"share"`
	MemorisedBuffer *float64 `json:"memorised_buffer" in:"share"` // by the distance ratio, which allows more the fewer images there are; null where the strategy keeps no images
	MemorisedTrain  *float64 `json:"memorised_train" in:"share"`  // by the distance ratio

	// Absent in results from before they were measured.
	Copies            *Copies  `json:"copies,omitempty"`                         // by the fixed yardstick of [CopyProtocol]
	ClippedPixels     *float64 `json:"clipped_pixels,omitempty" in:"share"`      // share of the samples' pixel values that are 0 or 255
	RealClippedPixels *float64 `json:"real_clipped_pixels,omitempty" in:"share"` // the same of the task's reference images
	IdenticalSamples  *float64 `json:"identical_samples,omitempty" in:"share"`   // share of samples of which another of the task is an exact duplicate

	Vendi     *float64 `json:"vendi,omitempty" in:"positive"`      // of features of samples: metrics.Vendi
	RealVendi *float64 `json:"real_vendi,omitempty" in:"positive"` // the same of the task's reference images
	FLD       *float64 `json:"fld,omitempty"`                      // metrics.FLD, of at most [Protocol.FLDImages] of each kind

	BPD *BPD `json:"bpd,omitempty"` // null where it was not measured

	// Missing says of numbers that are null why they are: "class_accuracy" → "no classifier looked, …". Absent in older results.
	Missing map[string]string `json:"missing,omitempty"`
}

// Copies are the shares of a task's samples that are copies by the yardstick of [CopyProtocol].
type Copies struct {
	Buffer *CopyRates `json:"buffer"` // null where the strategy keeps no images
	Train  *CopyRates `json:"train"`  // of the training images of all tasks so far
}

// CopyRates are shares of images that are copies of an image of one set: of the samples and, for comparison, of the
// real held-out images of the same task, which copy nothing.
type CopyRates struct {
	Pixels       *float64 `json:"pixels" in:"share"`
	Features     *float64 `json:"features" in:"share"` // null without a classifier
	RealPixels   *float64 `json:"real_pixels" in:"share"`
	RealFeatures *float64 `json:"real_features" in:"share"`
}

// UnionMetrics are the numbers over the samples of all tasks seen so far together.
type UnionMetrics struct {
	N             int      `json:"n"`
	FID           *float64 `json:"fid" in:"positive"`
	ClassAccuracy *float64 `json:"class_accuracy" in:"share"`
	LabelKL       *float64 `json:"label_kl" in:"positive"` // KL(classifier's label histogram of the test images ‖ that of the samples), nats
	LabelARD      *float64 `json:"label_ard" in:"positive"`

	// As in [TaskMetrics], over the samples of all these tasks.
	ClippedPixels     *float64 `json:"clipped_pixels,omitempty" in:"share"`
	RealClippedPixels *float64 `json:"real_clipped_pixels,omitempty" in:"share"`
	IdenticalSamples  *float64 `json:"identical_samples,omitempty" in:"share"`
	Vendi             *float64 `json:"vendi,omitempty" in:"positive"`
	RealVendi         *float64 `json:"real_vendi,omitempty" in:"positive"`
	FLD               *float64 `json:"fld,omitempty"`

	Missing map[string]string `json:"missing,omitempty"` // as in [TaskMetrics]
}

// LossPoint is the training loss averaged since the point before.
type LossPoint struct {
	Step int     `json:"step"`
	Task int     `json:"task"`
	Loss float64 `json:"loss"`
}

// Cost is what a run took.
type Cost struct {
	Steps            int     `json:"steps"`
	FreshRows        int     `json:"fresh_rows"`
	ReplayRows       int     `json:"replay_rows"`
	Parameters       int     `json:"parameters"`
	TrainSeconds     float64 `json:"train_seconds"` // the steps alone, compilation left out
	EvalSeconds      float64 `json:"eval_seconds"`  // measuring, compilation after tasks left out
	CompileSeconds   float64 `json:"compile_seconds"`
	PeakRSS          int64   `json:"peak_rss_bytes"`
	StoredImages     int     `json:"stored_images"` // most held at any time between tasks
	StoredBytes      int64   `json:"stored_bytes"`
	StoredParameters int     `json:"stored_parameters"`
	ExtraEvaluations int64   `json:"extra_evaluations"` // rows the strategy ran through a network in addition to the training step
}

// missing is the error, an fs.ErrNotExist, of the path of a stored run at which there is nothing.
type missing string

func (path missing) Error() string {
	dir, name := filepath.Split(string(path))
	dir = filepath.Clean(dir)
	if name != "result.json" {
		return fmt.Sprintf("%s is not there; need the file of a stored run", string(path))
	}
	if _, err := os.Stat(dir); err != nil {
		return fmt.Sprintf("there is no run in %s yet; make it first: in a notebook, run the cell that trains it", dir)
	}
	if whole, err := filepath.Abs(dir); err == nil { // a cell's folder is not that of commands
		dir = whole
	}
	return fmt.Sprintf("the run in %s has not finished; finish it first: in a notebook, run the cell that trains it again, elsewhere `go run . resume %s`", dir, words.Shell(dir))
}

func (missing) Unwrap() error { return fs.ErrNotExist }

// Load reads one stored run. A file that is none, whose numbers make no sense, or that is not as it was written, is an
// error of one line, which names the file, the key, the value and what to do. Where there is no file it is an fs.ErrNotExist.
func Load(path string) (*Run, error) {
	data, err := atomicfile.Read(path, atomicfile.Large)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, missing(path)
	}
	if err != nil {
		return nil, err
	}
	return decode(path, data)
}

// decode reads the content of the file at path.
func decode(path string, data []byte) (*Run, error) {
	r, err := parse(data)
	if err == nil {
		_, err = Unseal(data)
	}
	if err == nil {
		return r, nil
	}
	if errors.As(err, new(Newer)) {
		return nil, errors.WithMessage(err, path)
	}
	todo := "take it from where it came, or move it elsewhere"
	if r != nil && r.Provenance.Command != "" {
		todo = fmt.Sprintf("make it again with `%s`, or move it elsewhere", r.Provenance.Command)
	}
	if dir, name := filepath.Split(path); name == "result.json" {
		todo = fmt.Sprintf("remove it, and `go run . resume %s` makes it again", words.Shell(filepath.Clean(dir)))
	}
	return nil, errors.Errorf("%s: %v; it is damaged, or no stored run of this version: %s", path, oneline.Error(err), todo)
}

// Newer is the error of a file of a newer program, which is not damaged: its numbers are not to be made again.
type Newer struct{ error }

// CheckSchema returns a [Newer] where the JSON object data states a schema above the one that this program reads.
func CheckSchema(data []byte, reads int) error {
	var of struct {
		Schema int `json:"schema"`
	}
	if json.Unmarshal(data, &of) == nil && of.Schema > reads { // whose other values may be of other types
		return Newer{errors.Errorf("schema is %d, this version reads %d: a newer version of this program wrote it; use that one", of.Schema, reads)}
	}
	return nil
}

// parse reads the content of a file; with an error it also returns what could be read.
func parse(data []byte) (*Run, error) {
	r := new(Run)
	if err := CheckSchema(data, Schema); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, errors.Wrap(err, "not a stored run")
	}
	if r.Schema != Schema {
		return r, errors.Errorf("schema is %d; this version reads %d", r.Schema, Schema)
	}
	return r, r.Validate()
}

// Save writes r to path through a temporary file, so that no half-written file is ever seen, with a sum over all of it, by
// which [Load] knows a file that is damaged. Losses, and likelihoods by other ways or of other images, that hold what is no
// finite number are left out, and r.Missing of the file says so. What [Run.Validate] refuses, or another schema, is an error, for Load
// would refuse the file.
func (r *Run) Save(path string) error {
	if r == nil {
		return errors.New("results: no run to save (nil)")
	}
	kept := *r
	kept.Missing = maps.Clone(r.Missing)
	drop := func(what string, v any) bool {
		where, n := nonFinite(reflect.ValueOf(v), "")
		if where == "" {
			return false
		}
		if kept.Missing == nil {
			kept.Missing = map[string]string{}
		}
		kept.Missing[what] = fmt.Sprintf("%s came out as %g", where, n)
		return true
	}
	kept.Losses = slices.DeleteFunc(slices.Clone(r.Losses), func(p LossPoint) bool { return drop(fmt.Sprintf("losses: step %d", p.Step), p) })
	kept.Sensitivity = slices.DeleteFunc(slices.Clone(r.Sensitivity), func(v BPDVariant) bool { return drop("sensitivity: "+v.Name, v) })
	kept.Outside = slices.DeleteFunc(slices.Clone(r.Outside), func(o OutsideBPD) bool { return drop("outside: "+o.Dataset, o) })
	data, err := Encode(&kept)
	if err == nil {
		_, err = parse(data) // as Load will
	}
	if err == nil {
		data, err = Seal(data)
	}
	if err != nil {
		return errors.WithMessagef(err, "results: saving run %q to %s", r.Name, path)
	}
	return atomicfile.Write(path, data)
}
