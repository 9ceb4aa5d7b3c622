package experiment

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"time"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/cl"
)

// calibrationTime is how long steps are timed once they are compiled.
const calibrationTime = 2 * time.Second

// mostTimed is how many pixels images are timed with. Steps on more take long, and so does preparing images for them.
const mostTimed = 64 * 64

// shrunk is c with images of at most [mostTimed] pixels, height and width halved so many times alike, and how many times fewer pixels
// those are; c itself where no halves of its images fit a network.
func (c Config) shrunk() (Config, int, error) {
	h, w, _, err := datasets.PreparedShape(c.Benchmark.Prep, c.Benchmark.Datasets...)
	if err != nil {
		return c, 1, err
	}
	by := 1
	for (h/by)*(w/by) > mostTimed && h%(32*by) == 0 && w%(32*by) == 0 { // networks of up to five levels
		by *= 2
	}
	if by > 1 {
		p := &c.Benchmark.Prep
		p.Method, p.Size, p.Height, p.Width, p.Border = "stretch", 0, h/by, w/by, 0
	}
	return c, by * by, nil
}

// Calibrate times some steps of training and of sampling of a run like c, without a strategy's own work and without
// writing anything. Images of more than 64×64 pixels are timed at a half, a quarter, … of their sides, and their steps taken to last as
// much longer as they have more pixels.
func Calibrate(ctx context.Context, c Config, opt Options) (Rates, error) {
	rows, err := c.stepRows()
	if err != nil {
		return Rates{}, err
	}
	// Joint training fills all rows of a step from the data and does nothing else.
	c.Strategy, c.Loop.ReplayRows = cl.Spec{Name: "joint"}, rows-c.Loop.FreshRows
	back := opt.Backend
	if back == nil {
		if back, _, err = backend.Shared(); err != nil {
			return Rates{}, err
		}
	}
	if _, err := c.Backend.devices(back); err != nil { // which every run of the study would end with
		return Rates{}, err
	}
	// One batch tells what a row takes, however many are asked for, and a signal is heeded after each step of it.
	c.Evaluate.SamplesPerTask = c.Evaluate.rows()
	c, times, err := c.shrunk()
	if err != nil {
		return Rates{}, err
	}
	bench, err := c.LoadBenchmark()
	if err != nil {
		return Rates{}, err
	}
	loop, err := c.newLoop(back, bench, nil)
	if err != nil {
		return Rates{}, err
	}
	network := loop.Network
	defer network.Close()
	defer loop.Close()
	first, step, err := timed(ctx, min(20, loop.TotalSteps()-1), func() error { _, err := loop.Step(); return err })
	if err != nil {
		return Rates{}, err
	}
	m, e := &measurer{config: c, bench: bench}, c.Evaluate
	sampler := e.Sampler
	sampler.Steps = min(2, sampler.Steps)
	firstDraw, draw, err := timed(ctx, 5, func() error {
		_, err := m.sampleFrom(ctx, network, guided(network, e.Guidance, network.Denoiser(e.EMA)), sampler, 0, func(int, float64) {})
		return err
	})
	if err != nil {
		return Rates{}, err
	}
	sampled := e.SamplesPerTask * sampler.Calls() * e.calls()
	return Rates{Train: float64(times) * step / float64(rows*backwardRows), Measure: float64(times) * draw / float64(sampled),
		Fixed: max(0, first-step) + max(0, firstDraw-draw), Times: times}, nil
}

// timed calls f once, which compiles, then again for calibrationTime, once at least and most times at most; it returns the
// seconds of the first call and the mean seconds of the others.
func timed(ctx context.Context, most int, f func() error) (first, mean float64, err error) {
	start := time.Now()
	if err := f(); err != nil {
		return 0, 0, err
	}
	first = time.Since(start).Seconds()
	start = time.Now()
	n := 0
	for n == 0 || n < most && time.Since(start) < calibrationTime {
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		if err := f(); err != nil {
			return 0, 0, err
		}
		n++
	}
	return first, time.Since(start).Seconds() / float64(n), nil
}

// CalibrateApart has a process calibrate for c, as a study's worker would run it: spawn starts one that writes what
// [Calibrate] returns for the configuration in a folder as JSON, for instance by [Processes].
func CalibrateApart(ctx context.Context, c Config, spawn func(ctx context.Context, dir string, w int, out io.Writer) error) (Rates, error) {
	if spawn == nil {
		return Rates{}, errors.New("experiment.CalibrateApart: nothing to start a process with (nil); take Processes, or Calibrate in this process")
	}
	dir, err := os.MkdirTemp("", "palimpsest-calibration-")
	if err != nil {
		return Rates{}, errors.WithStack(err)
	}
	defer os.RemoveAll(dir)
	if err := claim(c, dir, nil); err != nil {
		return Rates{}, err
	}
	var out bytes.Buffer
	if err := spawn(ctx, dir, 0, &out); err != nil {
		return Rates{}, errors.WithMessage(err, "timing some steps")
	}
	var rates Rates
	return rates, errors.Wrap(json.Unmarshal(out.Bytes(), &rates), "timing some steps")
}
