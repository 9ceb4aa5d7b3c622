package results

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/pkg/errors"
)

// The last key of a stored run, of its losses along training and of its autopsy is the SHA-256 of what comes before it, white
// space left out: a number in which a digit has changed is no number of the run. Files from before there were sums have none,
// and nothing is known of them.
var sealed = regexp.MustCompile(`,\s*"sha256":\s*"([^"]*)"\s*\}\s*$`)

// sum is the SHA-256 of a JSON text without its white space.
func sum(text []byte) (string, error) {
	var plain bytes.Buffer
	if err := json.Compact(&plain, text); err != nil {
		return "", errors.WithStack(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(plain.Bytes())), nil
}

// Seal adds its sum to an object, as [Encode] or encoding/json writes it.
func Seal(text []byte) ([]byte, error) {
	of, err := sum(text)
	body, closed := bytes.CutSuffix(bytes.TrimSpace(text), []byte("}"))
	if err == nil && !closed {
		err = errors.New("results: only an object can hold its sum")
	}
	if lines, indented := bytes.CutSuffix(body, []byte("\n")); indented {
		return fmt.Appendf(lines, ",\n \"sha256\": %q\n}\n", of), err
	}
	return fmt.Appendf(body, ",\"sha256\":%q}\n", of), err
}

// Unseal compares an object with its sum, if it has one, and returns it without.
func Unseal(text []byte) ([]byte, error) {
	at := sealed.FindSubmatchIndex(text)
	if at == nil {
		return text, nil
	}
	plain := append(bytes.Clone(text[:at[0]]), '}')
	got, err := sum(plain)
	if want := string(text[at[2]:at[3]]); err == nil && got != want {
		err = errors.Errorf("its content has the SHA-256 %.12s…, not %.12s… as when it was written", got, want)
	}
	return plain, err
}
