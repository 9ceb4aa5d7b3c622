package experiment

import (
	"strconv"
	"strings"

	"github.com/gomlx/compute"

	"palimpsest/pkg/backend"
	"palimpsest/pkg/words"
)

// AllDevices is the value of [BackendConfig].Devices for every device that has a processor of its own.
const AllDevices = "all"

// validateDevices reports a number of devices that there cannot be.
func (b BackendConfig) validateDevices() error {
	if n, err := strconv.Atoi(b.Devices); b.Devices != "" && b.Devices != AllDevices && (err != nil || n < 1) {
		return Refusef("backend.devices is %.100q; need a number from 1 on, or %q", b.Devices, AllDevices)
	}
	return nil
}

// devices is on how many devices of a backend the training step computes. It fails where there are fewer than asked for.
func (b BackendConfig) devices(on compute.Backend) (int, error) {
	have := on.NumDevices()
	switch b.Devices {
	case "":
		return 1, nil
	case AllDevices:
		return backend.OwnDevices(on), nil
	}
	n, err := strconv.Atoi(b.Devices)
	switch {
	case err != nil:
		return 0, b.validateDevices()
	case n > have && have == 1:
		return 0, Refusef("backend.devices is %d, but the backend here (%s) has one device; leave it out, or compute with XLA, which has as many as there are GPUs", n, on.Name())
	case n > have:
		return 0, Refusef("backend.devices is %d, but the backend here (%s) has %d devices; need 1 to %d, or %q", n, on.Name(), have, have, AllDevices)
	}
	return n, nil
}

// sayDevices says that steps compute on several devices, and how.
func (r *run) sayDevices(devices int) {
	if devices == 1 {
		return
	}
	line := "training steps compute on " + words.Count(devices, "device") + ", each on a share of the rows"
	if strings.HasPrefix(r.choice.Convolutions, "fastconv") {
		line += "; convolutions in them: XLA's own"
	}
	if backend.OwnDevices(r.back) < devices {
		line += "; the devices share one processor, so this is for trying it out and no faster"
	}
	r.say("%s", line)
}
