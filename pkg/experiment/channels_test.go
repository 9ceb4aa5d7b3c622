package experiment

import (
	"strings"
	"testing"

	"palimpsest/datasets"
)

// Whether sets go together is known from the catalogue: none of them is on this machine.
func TestGreyAndColourAreToldApartUnloaded(t *testing.T) {
	t.Setenv("PALIMPSEST_CACHE", t.TempDir())
	for _, tc := range []struct {
		set  []string
		want string // part of the error; "": none
	}{
		{[]string{"benchmark.datasets=[fashion-mnist,cifar-10]"}, "images of fashion-mnist are grey, those of cifar-10 in colour; set benchmark.prep.channels to 1"},
		{[]string{"benchmark.datasets=[fashion-mnist,cifar-10]", "benchmark.prep.channels=1"}, ""},
		{[]string{"benchmark.datasets=[fashion-mnist,cifar-10]", "benchmark.prep.channels=3"}, ""},
		{[]string{"benchmark.datasets=[fashion-mnist,cifar-10]", "benchmark.prep.channels=2"}, "2 channels"},
		{[]string{"benchmark.datasets=[fashion-mnist,cifar-10]", "benchmark.prep.channels=3", "benchmark.prep.method=none"}, "28×28"},
		{[]string{"benchmark.datasets=[fashion-mnist,mnist]", "bpd.outside=[cifar-10]", "network.conditional=false", "bpd.images=4"}, "benchmark.prep.channels"},
		{[]string{"benchmark.datasets=[fashion-mnist,mnist]", "benchmark.prep.size=16", "benchmark.prep.method=pad"}, ""},
	} {
		_, err := OverrideConfig("test", nil, append(tc.set, "benchmark.scenario=domain-incremental"))
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%v: %v, want %q", tc.set, err, tc.want)
		}
	}
}

// A run on converted images is checked, labelled and judged as one of images with that number of channels.
func TestChannelsOfARun(t *testing.T) {
	c := smallConfig()
	c.Benchmark.Prep.Channels = 3
	bench, err := c.LoadBenchmark()
	if err != nil || bench.C != 3 {
		t.Fatalf("%d channels, %v", bench.C, err)
	}
	if kind, err := c.networkKind(); err != nil || !strings.Contains(kind, "3 channels") {
		t.Errorf("the network is of kind %q (%v)", kind, err)
	}
	if err := c.Check(); err != nil {
		t.Errorf("without a shipped classifier for coloured clothes: %v", err)
	}
	if got, want := bench.Tasks[0].Test.Pixels[0], bench.Tasks[0].Test.Pixels[2]; got != want {
		t.Errorf("grey images have channels %d and %d", got, want)
	}
	c.Benchmark.Prep.Channels = 1 // as they are
	if err := c.Check(); err != nil {
		t.Error(err)
	}
	if _, prep := c.classifier(bench.H); prep != (datasets.Prep{Method: "area", Size: 16, Channels: 1}) {
		t.Errorf("the classifier is looked for as %+v", prep)
	}
	c.Benchmark.Prep = datasets.Prep{Method: "none", Channels: 3}
	if _, prep := c.classifier(32); prep.Channels != 3 {
		t.Errorf("images left at their size lose their channels: %+v", prep)
	}
}
