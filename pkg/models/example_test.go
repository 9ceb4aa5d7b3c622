package models_test

import (
	"fmt"
	"log"
	"os"

	"palimpsest/pkg/backend"
	"palimpsest/pkg/diffusers"
	"palimpsest/pkg/models"
)

// A model is kept under a name, by which a run can start from it (network.init). Here the cache folder is a temporary one.
func ExamplePut() {
	cache, err := os.MkdirTemp("", "cache")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(cache)
	os.Setenv(backend.CacheEnv, cache)
	defer os.Unsetenv(backend.CacheEnv)

	m, _, err := diffusers.Read("../../notebooks/from_diffusers/learned", diffusers.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := models.Put("clothes", "notebooks/from_diffusers/learned", m, false); err != nil {
		log.Fatal(err)
	}
	kept, err := models.Get("clothes")
	if err != nil {
		log.Fatal(err)
	}
	weights, err := kept.Load()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(kept.Source, kept.Process.T, len(weights) == len(m.Weights))
	// Output: notebooks/from_diffusers/learned 1000 true
}
