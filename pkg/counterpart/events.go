package counterpart

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"github.com/pkg/errors"

	"palimpsest/pkg/tensorboard"
)

// eventsFile is the event file of the tests; [eventsOf] makes it.
const eventsFile = "events.out.tfevents.1700000000.palimpsest"

// eventsOf is an event file with one of everything, of a run that was stopped after step 20 and went on from step 10.
func eventsOf() []byte {
	at := time.Unix(1_700_000_000, 0)
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 3, 2))); err != nil {
		panic(err) // to memory
	}
	return bytes.Join([][]byte{
		tensorboard.Header(at),
		tensorboard.Record(at, 0, tensorboard.Text("config", "    seed: 0"), tensorboard.HParams(map[string]any{"seed": 3.0, "strategy.name": "er", "network.conditional": true})),
		tensorboard.Record(at.Add(time.Second), 10, tensorboard.Scalar("train/loss", 0.75)),
		tensorboard.Record(at.Add(2*time.Second), 20, tensorboard.Scalar("train/loss", 7)),
		tensorboard.Restart(at.Add(3*time.Second), 11),
		tensorboard.Record(at.Add(4*time.Second), 20, tensorboard.Scalar("train/loss", 0.5), tensorboard.Scalar("fid/all", math.Pi)),
		tensorboard.Record(at.Add(5*time.Second), 20, tensorboard.PNG("samples", 2, 3, picture.Bytes())),
	}, nil)
}

// events compares what TensorBoard reads in [eventsOf], cut within one more record, with what it was made of.
func events(p python, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return errors.WithStack(err)
	}
	cut := tensorboard.Record(time.Unix(1_700_000_006, 0), 30, tensorboard.Scalar("train/loss", 1))
	if err := os.WriteFile(filepath.Join(dir, eventsFile), append(eventsOf(), cut[:len(cut)-3]...), 0o644); err != nil {
		return errors.WithStack(err)
	}
	out, err := p.run("events", dir)
	if err != nil {
		return err
	}
	var got, want any
	if err := json.Unmarshal(out, &got); err != nil {
		return errors.Wrapf(err, "what counterpart.py printed, %.200q", out)
	}
	const expected = `{"scalars": {"train/loss": [[10, 1700000001, 0.75], [20, 1700000004, 0.5]], "fid/all": [[20, 1700000004, 3.1415927410125732]]},
		"images": {"samples": [[20, 3, 2]]}, "texts": {"config": ["    seed: 0"]}, "hparams": {"seed": 3, "strategy.name": "er", "network.conditional": true}, "start": 1700000000}`
	if err := json.Unmarshal([]byte(expected), &want); err != nil {
		return errors.WithStack(err)
	}
	if !reflect.DeepEqual(got, want) {
		return errors.Errorf("TensorBoard reads %s; need %s", out, expected)
	}
	return nil
}
