package results

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/pkg/errors"
)

// The last key of a stored run is the SHA-256 of what comes before it, white space left out: a number in which a digit has
// changed is no number of the run. Runs of before there were sums have none, and nothing is known of them.
var sealed = regexp.MustCompile(`,\s*"sha256":\s*"([^"]*)"\s*\}\s*$`)

// sum is the SHA-256 of a JSON text without its white space.
func sum(text []byte) (string, error) {
	var plain bytes.Buffer
	if err := json.Compact(&plain, text); err != nil {
		return "", errors.WithStack(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(plain.Bytes())), nil
}

// seal adds its sum to an object as [Encode] writes it.
func seal(text []byte) ([]byte, error) {
	of, err := sum(text)
	return fmt.Appendf(bytes.TrimSuffix(text, []byte("\n}\n")), ",\n \"sha256\": %q\n}\n", of), err
}

// checkSeal compares an object with its sum, if it has one.
func checkSeal(text []byte) error {
	at := sealed.FindSubmatchIndex(text)
	if at == nil {
		return nil
	}
	got, err := sum(append(bytes.Clone(text[:at[0]]), '}'))
	if want := string(text[at[2]:at[3]]); err == nil && got != want {
		err = errors.Errorf("its content has the SHA-256 %.12s…, not %.12s… as when it was written", got, want)
	}
	return err
}
