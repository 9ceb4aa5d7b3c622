package perf

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/results"
)

// Schema is the version of the stored form; files of another version are refused.
const Schema = 1

// Result is all that was measured of one [Case]: one file.
type Result struct {
	Schema   int       `json:"schema"`
	Case     Case      `json:"case"`
	Sittings []Sitting `json:"sittings"` // in their order
}

// Case is one thing to do with one network. Its name is that of its file.
type Case struct {
	Name     string `json:"name"`
	Grows    string `json:"grows,omitempty"` // what grows from contestant to contestant; "" where the contestants do the same
	What     string `json:"what"`
	Network  string `json:"network"` // "tiny"
	Size     int    `json:"size"`    // pixels a side
	Channels int    `json:"channels"`
	Rows     int    `json:"rows"`             // of a step or call, or images drawn
	OneCore  bool   `json:"one_core"`         // each contestant is kept to one core; else it has all
	Device   bool   `json:"device,omitempty"` // on the device that the backend opens, a GPU say
}

// Origin says where and from what measurements come.
type Origin struct {
	Command string          `json:"command"`
	Commit  string          `json:"commit"` // "unknown" outside a checkout
	Dirty   bool            `json:"dirty"`  // the checkout had changes
	Machine results.Machine `json:"machine"`
}

// Sitting is a set of contestants measured in turn. Only what was measured in one sitting compares.
type Sitting struct {
	Started time.Time `json:"started"`
	Origin
	Load     float64    `json:"load"` // processors that others kept busy before or, where more, during the calls; -1: not known. Of older results: processes in the minute before
	Rounds   int        `json:"rounds"`
	Measured []Measured `json:"measured"`
}

// Measured is what one contestant did.
type Measured struct {
	Name       string            `json:"name"`
	Parameters int               `json:"parameters"`
	Versions   map[string]string `json:"versions,omitempty"`
	Difference float64           `json:"difference,omitempty"` // of a peer's output from ours at the same weights, of the largest output
	Prepare    float64           `json:"prepare_seconds"`      // start, compilation and the first call
	Wall       []float64         `json:"wall_seconds"`         // of a call, a round each
	CPU        []float64         `json:"cpu_seconds"`
	Outside    []float64         `json:"outside_seconds,omitempty"` // of Wall, spent outside of the network's own step; of training loops alone
	Peak       int64             `json:"peak_rss_bytes"`
	Failed     string            `json:"failed,omitempty"` // why nothing was measured
}

// done says that every round of a sitting was made.
func (s *Sitting) done() bool {
	return !slices.ContainsFunc(s.Measured, func(m Measured) bool { return m.Failed == "" && len(m.Wall) < s.Rounds })
}

// of returns what a contestant did in the sitting, nil if it was not measured to the end.
func (s *Sitting) of(name string) *Measured {
	for i := range s.Measured {
		if m := &s.Measured[i]; m.Name == name && m.Failed == "" && len(m.Wall) >= s.Rounds {
			return m
		}
	}
	return nil
}

// latest is the newest sitting in which a contestant was measured to the end, with what it did; nil if there is none.
func (r *Result) latest(name string) (*Sitting, *Measured) {
	for i := len(r.Sittings) - 1; i >= 0; i-- {
		if m := r.Sittings[i].of(name); m != nil {
			return &r.Sittings[i], m
		}
	}
	return nil, nil
}

// Load reads one result.
func Load(path string) (*Result, error) {
	data, err := atomicfile.Read(path, 64<<20)
	if err != nil {
		return nil, err
	}
	if err := results.CheckSchema(data, Schema); err != nil {
		return nil, errors.WithMessage(err, path)
	}
	r := new(Result)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, errors.Wrapf(err, "%s holds no measurements", path)
	}
	if r.Schema != Schema {
		return nil, errors.Errorf("%s has schema %d; this version reads %d: measure again with --anew", path, r.Schema, Schema)
	}
	return r, nil
}

// LoadAll reads all results of a folder, in the order of their names; none where there is no folder.
func LoadAll(dir string) ([]*Result, error) {
	paths, err := atomicfile.Glob(dir, "*.json")
	if err != nil {
		return nil, errors.WithStack(err)
	}
	var all []*Result
	for _, path := range paths {
		if filepath.Base(path) == deviceFile {
			continue
		}
		r, err := Load(path)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// save writes r into a folder, which is made if need be.
func (r *Result) save(dir string) error {
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return errors.WithStack(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return errors.WithStack(err)
	}
	return atomicfile.Write(r.Case.path(dir), append(data, '\n'))
}

func (c Case) path(dir string) string { return filepath.Join(dir, c.Name+".json") }
