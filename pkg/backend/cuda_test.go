package backend

import (
	"slices"
	"strings"
	"testing"
)

// What bears on a compiled program is told apart, folders of notes and of MPS are not; a wish for traces is refused.
func TestWordsToXLA(t *testing.T) {
	got, err := wordsToXLA([]string{"HOME=/x", "XLA_FLAGS=--a --xla_gpu_per_fusion_autotune_cache_dir=/work/autotune --b", "NVIDIA_TF32_OVERRIDE=0",
		"CUDA_MPS_PIPE_DIRECTORY=/tmp/mps", "CUDA_VISIBLE_DEVICES=0", "TF_XLA_FLAGS=--c"})
	want := []string{"CUDA_VISIBLE_DEVICES=0", "NVIDIA_TF32_OVERRIDE=0", "TF_XLA_FLAGS=--c", "XLA_FLAGS=--a --b"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q (%v), want %q", got, err, want)
	}
	if _, err := wordsToXLA([]string{"XLA_FLAGS=--xla_dump_to=/tmp"}); err == nil || !strings.Contains(err.Error(), "more than the result") {
		t.Errorf("traces are refused with %v", err)
	}
}
