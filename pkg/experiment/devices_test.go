package experiment

import (
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"gopkg.in/yaml.v3"
)

// shown is a backend that has devices.
type shown struct {
	compute.Backend
	count int
	cpu   bool
}

func (s shown) NumDevices() int { return s.count }
func (s shown) IsCPU() bool     { return s.cpu }
func (s shown) Name() string    { return "xla" }

func TestDevices(t *testing.T) {
	gpus, processor, one := shown{count: 8}, shown{count: 4, cpu: true}, shown{count: 1}
	for _, tc := range []struct {
		setting string
		on      shown
		want    int
		refused string
	}{
		{"", gpus, 1, ""},
		{"all", gpus, 8, ""},
		{"8", gpus, 8, ""},
		{"3", gpus, 3, ""},
		{"9", gpus, 0, "backend.devices is 9, but the backend here (xla) has 8 devices; need 1 to 8, or \"all\""},
		{"all", processor, 1, ""}, // they share it
		{"2", processor, 2, ""},
		{"1", one, 1, ""},
		{"all", one, 1, ""},
		{"2", one, 0, "backend.devices is 2, but the backend here (xla) has one device; leave it out, or compute with XLA"},
	} {
		got, err := BackendConfig{Devices: tc.setting}.devices(tc.on)
		if got != tc.want || (err == nil) != (tc.refused == "") || err != nil && !strings.HasPrefix(err.Error(), tc.refused) {
			t.Errorf("%q of %d: %d, %v; want %d, %q", tc.setting, tc.on.count, got, err, tc.want, tc.refused)
		}
	}
	for _, wrong := range []string{"0", "-1", "x", "1.5", "All", " 2"} {
		c := DefaultConfig()
		c.Backend.Devices = wrong
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), `need a number from 1 on, or "all"`) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	c := DefaultConfig()
	if c, err := OverrideConfig("config", nil, []string{"backend.devices=2"}); err != nil || c.Backend.Devices != "2" {
		t.Errorf("a number is read as %q (%v)", c.Backend.Devices, err)
	}
	text, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	c.Backend.Devices = "2"
	if err := (&state{Settings: string(text)}).sameSettings(c); err != nil {
		t.Errorf("another number of devices is refused: %v", err)
	}
}
