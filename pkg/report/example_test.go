package report_test

import (
	"fmt"
	"log"
	"strings"

	"palimpsest/pkg/report"
	"palimpsest/pkg/study"
)

// The page of a study, for a browser. It needs no other file.
func ExampleHTML() {
	set, err := study.Open("../../notebooks/results/quick")
	if err != nil {
		log.Fatal(err)
	}
	var page strings.Builder
	if err := report.HTML(&page, *set); err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.Contains(page.String(), "<svg"), strings.Contains(page.String(), `src="http`))
	// Output: true false
}
