package backend

import (
	"slices"
	"strconv"
	"strings"

	"github.com/gomlx/compute/gobackend"
	"github.com/pkg/errors"
)

// GoMLX's Go backend runs the operations of a graph on workers from a pool, and a matrix product, which holds one worker,
// waits for more of them: once every worker holds an operation that waits, all wait for ever. On two cores the default
// pool has four workers, and a U-Net hangs within minutes. It cannot happen with a pool without a limit, without a pool, or
// where operations run one after another. GOMAXPROCS limits the processors in use all the same.
const (
	unlimited  = "parallelism=-1"
	sequential = "ops_sequential"
)

// goOptions returns the options of a configuration of the Go backend; ok is false for one of another backend.
func goOptions(config string) (options []string, ok bool) {
	name, text, _ := strings.Cut(config, ":")
	if name != gobackend.BackendName {
		return nil, false
	}
	return slices.DeleteFunc(strings.Split(text, ","), func(o string) bool { return o == "" }), true
}

// workers returns the limit of the pool that options set, whether they set one, and whether operations run one after another.
func workers(options []string) (limit int, limited, oneByOne bool) {
	for _, o := range options {
		if text, found := strings.CutPrefix(o, "parallelism="); found {
			if n, err := strconv.Atoi(text); err == nil { // else the backend says what is wrong
				limit, limited = n, true
			}
		}
		if strings.HasPrefix(o, "ops_") { // the last one counts
			oneByOne = o == sequential
		}
	}
	return limit, limited, oneByOne
}

// safeGo returns config with an unlimited pool where it is one of the Go backend that says nothing of the pool and does not
// run operations one after another; any other as it is.
func safeGo(config string) string {
	options, ok := goOptions(config)
	if !ok {
		return config
	}
	if _, limited, oneByOne := workers(options); !limited && !oneByOne {
		options = append(options, unlimited)
	}
	return gobackend.BackendName + ":" + strings.Join(options, ",")
}

// refuseDeadlock returns an error where config is one of the Go backend that can wait for itself for ever.
func refuseDeadlock(config string) error {
	options, ok := goOptions(config)
	if !ok {
		return nil
	}
	if limit, limited, oneByOne := workers(options); limited && limit <= 0 || oneByOne {
		return nil
	} else if !limited {
		return errors.Errorf("%s can wait for itself for ever; set %s:%s", config, gobackend.BackendName, strings.Join(append(options, unlimited), ","))
	} else {
		return errors.Errorf("%s can wait for itself for ever with only %d workers; set %s, and GOMAXPROCS to limit the processors, or %s:%s,parallelism=%d",
			config, limit, gobackend.BackendName, gobackend.BackendName, sequential, limit)
	}
}
