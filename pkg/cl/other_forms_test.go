package cl_test

import (
	"testing"

	"palimpsest/pkg/cl"
	"palimpsest/pkg/cl/cltest"
)

// Every strategy works with flow matching as with noise. Those that draw images are told how.
func TestStrategiesConformOnFlow(t *testing.T) { conformOn(t, cltest.Flow, "euler") }

// Every strategy works with a transformer as with the U-Net.
func TestStrategiesConformOnDiT(t *testing.T) { conformOn(t, cltest.DiT, "ddim") }

// Every strategy learns on two devices what it learns on one.
func TestStrategiesOnTwoDevices(t *testing.T) {
	for _, name := range cl.Names() {
		settings := fewOf(name, "ddim")
		t.Run(name, func(t *testing.T) {
			cltest.SameOnDevices(t, 2, func() cl.Strategy { return made(t, name, settings) })
		})
	}
}

// Every strategy learns, bit for bit, the same where the device holds the images and does not wait for the host.
func TestStrategiesOnADeviceApart(t *testing.T) {
	for _, name := range append(cl.Names(), "er+ewc_rank1+generative_distillation") {
		settings := fewOf(name, "ddim")
		t.Run(name, func(t *testing.T) {
			cltest.SameApart(t, func() cl.Strategy { return made(t, name, settings) })
		})
	}
}

func conformOn(t *testing.T, form, sampler string) {
	for _, name := range cl.Names() {
		settings := fewOf(name, sampler)
		t.Run(name, func(t *testing.T) {
			cltest.ConformOn(t, form, func() cl.Strategy { return made(t, name, settings) })
		})
	}
}

// fewOf are settings of a strategy for the suite's few images.
func fewOf(name, sampler string) map[string]any {
	settings := map[string]any{}
	for key, value := range map[string]any{"buffer": 11, "sampler": sampler, "sampler_steps": 2, "pool": 7, "fisher_rows": 3, "mas_rows": 3} {
		if _, err := cl.New(cl.Spec{Name: name, Settings: map[string]any{key: value}}); err == nil {
			settings[key] = value
		}
	}
	return settings
}
