package cluster

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/pkg/errors"
	"gopkg.in/yaml.v3"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/experiment"
	"palimpsest/pkg/words"
)

// Kubernetes says what an Indexed Job is made of.
type Kubernetes struct {
	Image     string // of docker/, in a registry of the cluster's
	Claim     string // persistent volume claim of the volume that holds the study
	Path      string // of the study's folder in that volume
	Namespace string
	CPU       string // of one run
	Memory    string // likewise
	GPU       int    // NVIDIA's, of one run
	Limit     int    // runs at a time; 0: all
}

var (
	quantity = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$`)
	label    = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$`)
)

// ParseKubernetes reads "image=REGISTRY/palimpsest:cuda,claim=research,gpu=1".
func ParseKubernetes(text, dir string) (k Kubernetes, err error) {
	k = Kubernetes{Path: filepath.Base(dir), CPU: "2", Memory: "4Gi"}
	bad := func(format string, args ...any) (Kubernetes, error) {
		return k, experiment.Refusef("--kubernetes %q: %s", text, fmt.Sprintf(format, args...))
	}
	names := []string{"image", "claim", "path", "namespace", "cpu", "memory", "gpu", "limit"}
	seen := map[string]bool{}
	for _, part := range strings.Split(text, ",") {
		name, value, found := strings.Cut(part, "=")
		if !found || value == "" || strings.ContainsAny(value, " \t\r\n") {
			return bad("%q is no NAME=VALUE; need, for instance, image=registry.example/palimpsest:cuda,claim=research,gpu=1", part)
		}
		if seen[name] {
			return bad("%s stands twice; leave one of them out", name)
		}
		seen[name] = true
		number := func(to *int, from int) {
			if *to, err = strconv.Atoi(value); err != nil || *to < from {
				_, err = bad("%s is %s; need a whole number from %d on", name, value, from)
			}
		}
		switch name {
		case "image":
			k.Image = value
		case "claim":
			k.Claim = value
		case "path":
			k.Path = strings.Trim(filepath.ToSlash(value), "/")
		case "namespace":
			k.Namespace = value
		case "cpu":
			k.CPU = value
		case "memory":
			k.Memory = value
		case "gpu":
			number(&k.GPU, 0)
		case "limit":
			number(&k.Limit, 1)
		default:
			return bad("there is no %q%s; there are %s", name, words.DidYouMean(name, names), words.List(names))
		}
		if err != nil {
			return k, err
		}
	}
	switch {
	case k.Image == "":
		return bad("image is missing; name the image that you built from docker/ and pushed, image=REGISTRY/palimpsest:cuda")
	case k.Claim == "":
		return bad("claim is missing; name the persistent volume claim of the volume that holds the study, claim=NAME")
	case !label.MatchString(k.Claim):
		return bad("claim is %q; need lower-case letters, digits and dashes", k.Claim)
	case k.Namespace != "" && !label.MatchString(k.Namespace):
		return bad("namespace is %q; need lower-case letters, digits and dashes", k.Namespace)
	case !quantity.MatchString(k.CPU):
		return bad("cpu is %q; need a number of cores, such as 2 or 500m", k.CPU)
	case !quantity.MatchString(k.Memory):
		return bad("memory is %q; need a number with a unit, such as 4Gi", k.Memory)
	case strings.Contains("/"+k.Path+"/", "/../"):
		return bad("path is %q; need the study's folder from the volume's root, without ..", k.Path)
	}
	return k, nil
}

// mounted is where the containers have the study.
const mounted = "/study"

// object is a YAML mapping in the order written.
type object []field

type field struct {
	name  string
	value any
}

// MarshalYAML implements [yaml.Marshaler].
func (o object) MarshalYAML() (any, error) {
	node := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range o {
		var value yaml.Node
		if err := value.Encode(f.value); err != nil {
			return nil, err
		}
		node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: f.name}, &value)
	}
	return node, nil
}

// notLabel is what a name of Kubernetes cannot hold.
var notLabel = regexp.MustCompile(`[^a-z0-9]+`)

// manifest writes the Indexed Job of the missing runs. A pod that is evicted does not count as a failure, and a run that says what is
// wrong is not tried again ([experiment.ExitCode]).
func (s *Study) manifest(k Kubernetes) ([]byte, error) {
	program := mounted + "/" + filepath.ToSlash(s.record.Program.Path)
	var run strings.Builder
	run.WriteString("runs=(\n")
	for _, name := range s.missing {
		fmt.Fprintf(&run, "\t%s\n", words.Shell(name))
	}
	fmt.Fprintf(&run, ")\necho \"%s  %s\" | sha256sum --check --quiet || exit 1\n", s.record.Program.SHA256, program)
	fmt.Fprintf(&run, "exec %s resume --wait --command %s \"%s/${runs[$JOB_COMPLETION_INDEX]}\"\n", program, words.Shell(s.Command), mounted)
	resources := object{{"cpu", k.CPU}, {"memory", k.Memory}}
	if k.GPU > 0 {
		resources = append(resources, field{"nvidia.com/gpu", strconv.Itoa(k.GPU)})
	}
	var variables []object
	for _, e := range environment() {
		if e[0] != backend.CacheEnv { // of this machine; the image has its own
			variables = append(variables, object{{"name", e[0]}, {"value", e[1]}})
		}
	}
	parallel := len(s.missing)
	if k.Limit > 0 {
		parallel = min(parallel, k.Limit)
	}
	name := strings.Trim(notLabel.ReplaceAllString(strings.ToLower(filepath.Base(s.Dir)), "-"), "-")
	name = strings.Trim(fmt.Sprintf("palimpsest-%s-%d", name[:min(len(name), 30)], s.number()), "-")
	metadata := object{{"name", name}}
	if k.Namespace != "" {
		metadata = append(metadata, field{"namespace", k.Namespace})
	}
	job := object{
		{"apiVersion", "batch/v1"},
		{"kind", "Job"},
		{"metadata", metadata},
		{"spec", object{
			{"completionMode", "Indexed"},
			{"completions", len(s.missing)},
			{"parallelism", parallel},
			{"backoffLimitPerIndex", 6},
			{"podFailurePolicy", object{{"rules", []object{
				{{"action", "Ignore"}, {"onPodConditions", []object{{{"type", "DisruptionTarget"}, {"status", "True"}}}}},
				{{"action", "FailIndex"}, {"onExitCodes", object{{"containerName", "run"}, {"operator", "In"},
					{"values", []int{experiment.ExitFailed, experiment.ExitUsage, experiment.ExitDiverged}}}}},
			}}}},
			{"template", object{{"spec", object{
				{"restartPolicy", "Never"},
				{"terminationGracePeriodSeconds", 120}, // to save a checkpoint in
				{"containers", []object{{
					{"name", "run"},
					{"image", k.Image},
					// $( is Kubernetes' own.
					{"command", []string{"/bin/bash", "-c", strings.ReplaceAll(run.String(), "$(", "$$(")}},
					{"env", variables},
					{"resources", object{{"requests", resources}, {"limits", resources}}},
					{"volumeMounts", []object{{{"name", "study"}, {"mountPath", mounted}, {"subPath", k.Path}}}},
				}}},
				{"volumes", []object{{{"name", "study"}, {"persistentVolumeClaim", object{{"claimName", k.Claim}}}}}},
			}}}},
		}},
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "# Made by: %s\n", words.OneLine(s.Command))
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(job); err != nil {
		return nil, errors.WithStack(err)
	}
	return text.Bytes(), nil
}

// Kubernetes writes the manifest of an Indexed Job of the missing runs and returns its path.
func (s *Study) Kubernetes(k Kubernetes) (path string, err error) {
	text, err := s.manifest(k)
	if err != nil {
		return "", err
	}
	path = filepath.Join(s.Dir, Folder, fmt.Sprintf("%d-kubernetes.yaml", s.number()))
	if err := atomicfile.Write(path, text); err != nil {
		return "", err
	}
	return path, s.hand(Handover{On: "kubernetes"})
}
