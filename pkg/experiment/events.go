package experiment

import (
	"bytes"
	"fmt"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/pkg/errors"
	"gopkg.in/yaml.v3"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/results"
	"palimpsest/pkg/tensorboard"
)

// eventsPattern are the names of the event files of a run folder.
const eventsPattern = "events.out.tfevents.*.palimpsest"

// eventsFile is the run's event file, by the moment it began: TensorBoard finds files by the letters tfevents.
func (r *run) eventsFile() string {
	began, _ := time.Parse(time.RFC3339, r.state.Started) // parseState has looked at it
	return filepath.Join(r.dir, strings.Replace(eventsPattern, "*", fmt.Sprint(began.Unix()), 1))
}

// openEvents brings the event file to the run's position: what a run that was killed wrote beyond it is made void, a record
// that was cut short removed. A file that is not there is written from what the state holds.
func (r *run) openEvents() error {
	return r.home.write(func() error {
		path, total := r.eventsFile(), r.loop.Position.Total
		if len(r.state.Losses) == 0 && r.state.LossCount == 0 && len(r.state.Evaluations) == 0 { // those of a run that never came to a checkpoint
			old, err := atomicfile.Glob(r.dir, eventsPattern)
			if err != nil {
				return errors.WithStack(err)
			}
			for _, file := range old {
				if err := os.Remove(file); err != nil {
					return errors.WithStack(err)
				}
			}
			return r.writeEvents(path)
		}
		whole, err := wholeEvents(path)
		if err != nil {
			return err
		}
		if whole == 0 {
			return r.writeEvents(path)
		}
		if err := os.Truncate(path, whole); err != nil {
			return errors.WithStack(err)
		}
		return appendTo(path, append(tensorboard.Restart(time.Now(), total), r.eventsFrom(total)...))
	})
}

// wholeEvents is how many bytes of a file are whole records; 0 of one that is not there.
func wholeEvents(path string) (int64, error) {
	f, err := atomicfile.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	whole, err := tensorboard.Whole(f)
	return whole, errors.Wrap(err, path)
}

// appendTo adds to a file that is there, in one write.
func appendTo(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return errors.WithStack(err)
	}
	_, err = f.Write(data)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return errors.WithStack(err)
}

// writeEvents writes the file anew: settings, and what there is so far.
func (r *run) writeEvents(path string) error {
	text, err := yaml.Marshal(r.config)
	if err != nil {
		return errors.WithStack(err)
	}
	var tree map[string]any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return errors.WithStack(err)
	}
	settings := map[string]any{}
	flatSettings(settings, "", tree)
	now := time.Now()
	head := append(tensorboard.Header(now), tensorboard.Record(now, 0,
		tensorboard.Text("config", "    "+strings.ReplaceAll(strings.TrimRight(string(text), "\n"), "\n", "\n    ")), tensorboard.HParams(settings))...)
	return atomicfile.Write(path, append(head, r.eventsFrom(0)...))
}

// flatSettings names the values of a tree by their path.
func flatSettings(to map[string]any, path string, tree map[string]any) {
	for key, value := range tree {
		name := strings.TrimPrefix(path+"."+key, ".")
		switch v := value.(type) {
		case map[string]any:
			flatSettings(to, name, v)
		case int:
			to[name] = float64(v)
		case bool, float64, string:
			to[name] = v
		case nil:
		default: // a list, a large number
			to[name] = fmt.Sprint(v)
		}
	}
}

// eventsFrom are the records of all losses and measurements of the state from a step on.
func (r *run) eventsFrom(step int) []byte {
	var records []byte
	for _, l := range r.state.Losses {
		if l.Step >= step {
			records = append(records, tensorboard.Record(time.Now(), l.Step, tensorboard.Scalar("train/loss", l.Loss))...)
		}
	}
	for _, e := range r.state.Evaluations {
		if e.Step >= step {
			records = append(records, r.evaluationEvents(e)...)
		}
	}
	return records
}

// logEvents adds records to the event file; one that was removed is written anew from the state, which has them too.
func (r *run) logEvents(records []byte) error {
	return r.home.write(func() error {
		err := appendTo(r.eventsFile(), records)
		if errors.Is(err, fs.ErrNotExist) {
			return r.writeEvents(r.eventsFile())
		}
		return err
	})
}

// logLoss logs the newest loss and how fast training is.
func (r *run) logLoss() error {
	l := r.state.Losses[len(r.state.Losses)-1]
	values := []tensorboard.Value{tensorboard.Scalar("train/loss", l.Loss)}
	if s := r.clock.stepSeconds; s > 0 {
		values = append(values, tensorboard.Scalar("train/images_per_second", float64(r.loop.Config.FreshRows+r.loop.ReplayRows())/s))
	}
	return r.logEvents(tensorboard.Record(time.Now(), l.Step, values...))
}

// evaluationEvents are the numbers of a measurement, "fid/task 0" and "fid/all", and its sheet of samples where it is there.
func (r *run) evaluationEvents(e results.Evaluation) []byte {
	var values []tensorboard.Value
	for _, m := range e.Tasks {
		values = append(values, numbers(m, fmt.Sprintf("task %d", m.Task))...)
	}
	records := tensorboard.Record(time.Now(), e.Step, append(values, numbers(e.Union, "all")...)...)
	picture, err := atomicfile.Read(filepath.Join(r.dir, filepath.FromSlash(e.Sheet)), atomicfile.Large)
	if err != nil {
		return records
	}
	size, err := png.DecodeConfig(bytes.NewReader(picture))
	if err != nil {
		return records
	}
	return append(records, tensorboard.Record(time.Now(), e.Step, tensorboard.PNG("samples", size.Height, size.Width, picture))...)
}

// numbers are the numbers of a struct that were measured, by their JSON names.
func numbers(of any, whose string) (values []tensorboard.Value) {
	v := reflect.ValueOf(of)
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if n, ok := v.Field(i).Interface().(*float64); ok && n != nil {
			values = append(values, tensorboard.Scalar(name+"/"+whose, *n))
		}
	}
	return values
}
