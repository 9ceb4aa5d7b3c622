package study

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"palimpsest/pkg/results"
)

// MissingNotes say what single runs lack of what they were asked for, and why ([results.Run.Missing]). Of many things of one kind the first is
// named.
func MissingNotes(methods []Method) []string {
	var out []string
	for _, g := range methods {
		for _, r := range g.Runs {
			var parts []string
			kinds := map[string]int{} // by what stands before the colon, "losses"
			keys := slices.Sorted(maps.Keys(r.Missing))
			for _, key := range keys {
				kind, _, _ := strings.Cut(key, ":")
				kinds[kind]++
			}
			for _, key := range keys {
				kind, _, _ := strings.Cut(key, ":")
				n := kinds[kind]
				if kinds[kind] = 0; n == 0 || key == results.MissingAutopsy && autopsyIn(r.Folder) {
					continue
				}
				more := ""
				if n > 1 {
					more = fmt.Sprintf(", and %d more", n-1)
				}
				parts = append(parts, fmt.Sprintf("%s (%s)%s", key, r.Missing[key], more))
			}
			if len(parts) > 0 {
				out = append(out, fmt.Sprintf("Missing from %s, seed %d: %s.", g.Label, r.Seed, strings.Join(parts, "; ")))
			}
		}
	}
	return out
}

// autopsyIn says whether an autopsy has been made since of the run that was read from a folder.
func autopsyIn(folder string) bool {
	_, err := os.Stat(filepath.Join(folder, results.AutopsyFile))
	return folder != "" && err == nil
}
