package backend

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/gobackend" // pure Go, always there
	"github.com/pkg/errors"

	"palimpsest/pkg/executables"
)

// pureGo is how pure Go is opened, see [safeGo].
const pureGo = gobackend.BackendName + ":" + unlimited

// Choice says which backend was opened and why.
type Choice struct {
	Name   string   // "user", "xla:cuda", "xla:cpu" or "go"
	Config string   // what GoMLX opened, a value GOMLX_BACKEND accepts
	Why    string   // why this one
	Faster string   // what would be faster and how to get it; "" if nothing known is
	Failed []string // what was tried before and failed, one message each

	// Convolutions says what computes 3×3 convolutions: package fastconv, XLA or package goconv; "" where nothing is known.
	Convolutions string
	// Executables says where compiled programs are kept, or that they are not and why (package executables); "" where they
	// never are.
	Executables string
}

// String returns the choice as one line.
func (c Choice) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "backend %s: %s", c.label(), c.Why)
	for _, failed := range c.Failed {
		fmt.Fprintf(&b, "; %s", failed)
	}
	if c.Convolutions != "" {
		fmt.Fprintf(&b, "; 3×3 convolutions: %s", c.Convolutions)
	}
	if c.Faster != "" {
		fmt.Fprintf(&b, "; faster: %s", c.Faster)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// Note says in a line that every start compiles again though nobody asked for it, and why; "" where programs are kept.
func (c Choice) Note() string {
	if why, found := strings.CutPrefix(c.Executables, notKept); found && os.Getenv(executables.Env) != "off" {
		return "every start compiles its programs anew, up to a minute: they are not kept " + why
	}
	return ""
}

// notKept begins what [Choice].Executables says where nothing is kept; the reason follows in brackets.
const notKept = "not kept "

// Portable is Config with the name of XLA's plugin in place of its path: the folder differs from machine to machine.
func (c Choice) Portable() string {
	if kind, path, found := strings.Cut(c.Config, ":"); found && filepath.IsAbs(path) {
		return kind + ":" + filepath.Base(path)
	}
	return c.Config
}

// label is the backend's name for people; only a user's own choice shows its settings.
func (c Choice) label() string {
	if c.Name == "user" {
		return c.Config
	}
	return c.Name
}

// Open opens a backend in the order the package states and says which. It fails where what GOMLX_BACKEND names does not open,
// where the plugin it would open is damaged, and where even pure Go fails. Each call opens a new backend, for the caller to
// finalize; what lasts as long as the program takes [Shared].
func Open() (compute.Backend, Choice, error) {
	return machine().open()
}

// probes is what the choice depends on. Tests put their own in.
type probes struct {
	user       string                 // GOMLX_BACKEND
	xla, simd  bool                   // XLA compiled in; pure Go lacks SIMD
	noXLA      string                 // what would bring XLA into this build; "": nothing, no plugin exists for the system
	devices    []string               // NVIDIA device files
	cpu, cuda  func() (string, error) // plugin paths
	newBackend func(config string) (compute.Backend, layers, error)
}

// machine returns the probes of the machine the program runs on.
func machine() probes {
	return probes{
		user: os.Getenv(compute.ConfigEnvVar), xla: XLABuilt, simd: simdMissing, noXLA: BuildFix(),
		devices: NVIDIADevices(), cpu: CPUPluginPath, cuda: CUDAPluginPath,
		newBackend: newBackend,
	}
}

func (p probes) open() (compute.Backend, Choice, error) {
	var failed []string
	var damaged error
	try := func(c Choice) (compute.Backend, Choice, bool) {
		backend, over, err := p.newBackend(c.Config)
		if err != nil {
			if errors.As(err, new(damagedPlugin)) {
				damaged = err
			}
			failed = append(failed, fmt.Sprintf("%s did not open (%s)", c.label(), firstLine(err)))
			return nil, c, false
		}
		c.Failed, c.Convolutions, c.Executables = failed, over.convolutions, over.executables
		return backend, c, true
	}
	if p.user != "" {
		config, err := p.asked()
		if err != nil {
			return nil, Choice{}, err
		}
		c := Choice{Name: "user", Config: config, Why: compute.ConfigEnvVar + "=" + p.user}
		backend, c, ok := try(c)
		if damaged != nil {
			return nil, Choice{Failed: failed}, damaged
		}
		if !ok { // another backend would give other numbers at another speed than what was asked for
			return nil, Choice{Failed: failed}, errors.Errorf("%s: %s; %s", c.Why, strings.Join(failed, "; "), choices())
		}
		return backend, c, nil
	}
	cpuPath, cpuErr := p.cpu()
	cudaPath, cudaErr := p.cuda()
	faster := ""
	if p.xla && len(p.devices) > 0 {
		if cudaErr == nil {
			c := Choice{Name: "xla:cuda", Config: "xla:" + cudaPath, Why: "NVIDIA GPU " + p.devices[0]}
			if backend, c, ok := try(c); ok || damaged != nil {
				return backend, c, damaged
			}
			faster = "mend the GPU, `go run . doctor` says how"
		} else {
			faster = "the NVIDIA GPU " + p.devices[0] + " here, after: go run . setup --cuda"
		}
	}
	if p.xla && cpuErr == nil {
		c := Choice{Name: "xla:cpu", Config: "xla:" + cpuPath, Faster: faster, Why: "no NVIDIA GPU here"}
		if len(p.devices) > 0 {
			c.Why = "XLA on the processor"
		}
		if backend, c, ok := try(c); ok || damaged != nil {
			return backend, c, damaged
		}
	}
	c := Choice{Name: "go", Config: pureGo, Why: "pure Go, for XLA's CPU plugin failed"}
	switch {
	case !p.xla:
		c.Why = "pure Go, for this build has no XLA"
		if p.noXLA != "" {
			c.Faster = "XLA, some twenty times: " + p.noXLA
		}
	case cpuErr != nil:
		c.Why = "pure Go, for " + firstLine(cpuErr) // which names the command, where there is one
	}
	if p.simd {
		c.Faster = strings.TrimPrefix(c.Faster+"; or build with GOEXPERIMENT=simd", "; or ")
	}
	backend, c, ok := try(c)
	if !ok {
		return nil, Choice{Failed: failed}, errors.Errorf("no backend opened: %s; run: go run . doctor",
			strings.Join(failed, "; "))
	}
	return backend, c, nil
}

// CheckAsked reports that GOMLX_BACKEND names what this program does not have, or has not installed. Nothing is opened:
// commands ask before they begin.
func CheckAsked() error {
	p := machine()
	if p.user == "" {
		return nil
	}
	_, err := p.asked()
	return err
}

// asked is what the user's choice stands for. It fails where there is no such backend, and where the plugin is not installed.
func (p probes) asked() (string, error) {
	config, err := p.resolve(p.user)
	if err != nil {
		return "", errors.Errorf("%s=%s: %s; %s", compute.ConfigEnvVar, p.user, firstLine(err), choices())
	}
	name, _, _ := strings.Cut(config, ":")
	if known := compute.List(); !slices.Contains(known, name) {
		return "", errors.Errorf("%s=%s: there is no backend %q in this program; %s", compute.ConfigEnvVar, p.user, name, choices())
	}
	return config, nil
}

// choices says what GOMLX_BACKEND may be.
func choices() string {
	var all []string
	if XLABuilt {
		all = append(all, "xla:cpu", "xla:cuda")
		for _, name := range slices.Sorted(maps.Keys(GPUPlugins)) {
			if GPUPlugins[name].Supported() {
				all = append(all, "xla:"+name)
			}
		}
		all = append(all, "xla:FILE")
	}
	return "choose one of " + strings.Join(append(all, gobackend.BackendName), ", ") + ", or unset it"
}

// resolve turns the short names of GOMLX_BACKEND into what this package installs: "xla:cpu", "xla:cuda" and "xla:" with a
// name of [GPUPlugins] into the plugin's path, "go" into a form that does not deadlock. Other options stay. It fails, naming
// the command, where the plugin is not installed.
func (p probes) resolve(config string) (string, error) {
	name, options, hasOptions := strings.Cut(config, ",")
	if hasOptions {
		options = "," + options
	}
	find := map[string]func() (string, error){"xla": p.cpu, "xla:": p.cpu, "xla:cpu": p.cpu, "xla:cuda": p.cuda}[name]
	if gpu, found := strings.CutPrefix(name, "xla:"); find == nil && found {
		if plugin, known := GPUPlugins[gpu]; known {
			find = plugin.Path
		}
	}
	if find == nil {
		return safeGo(config), nil
	}
	path, err := find()
	if err != nil {
		return config, err
	}
	return "xla:" + path + options, nil
}

// firstLine returns the first line of err, cut at 300 bytes: PJRT's errors run to pages.
func firstLine(err error) string {
	line, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	if len(line) > 300 {
		line = line[:300] + "…"
	}
	return line
}

// PureGoNote says in one line that computations will run in pure Go, why, and what that means; "" where something else is to
// run them. Nothing is opened: commands print it before they begin.
func PureGoNote() string { return machine().pureGoNote() }

func (p probes) pureGoNote() string {
	why := ""
	_, cpuErr := p.cpu()
	_, cudaErr := p.cuda()
	_, asked := goOptions(p.user)
	switch {
	case asked:
		why = compute.ConfigEnvVar + "=" + p.user
	case p.user != "" || p.xla && (cpuErr == nil || cudaErr == nil && len(p.devices) > 0):
		return ""
	case !p.xla:
		why = "this build has no XLA"
	default:
		why = firstLine(cpuErr)
	}
	return "note: pure Go computes here, some twenty times slower than XLA: " + why
}
