package figure

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pkg/errors"

	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/study"
)

// unpack reads the pictures back out of the output's script, as it does.
func unpack(t *testing.T, output string) (pictures []string) {
	t.Helper()
	found := regexp.MustCompile(`data = "([A-Za-z0-9+/=]+)"`).FindStringSubmatch(output)
	if found == nil {
		t.Fatal("the output holds no data")
	}
	packed, err := base64.StdEncoding.DecodeString(found[1])
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	var book struct {
		Texts    []string
		Pictures [][]int
	}
	if err := json.NewDecoder(r).Decode(&book); err != nil {
		t.Fatal(err)
	}
	for _, lines := range book.Pictures {
		var text []string
		for _, n := range lines {
			text = append(text, book.Texts[n])
		}
		pictures = append(pictures, strings.Join(text, "\n"))
	}
	return pictures
}

func TestControlsHoldEveryCombination(t *testing.T) {
	methods := study.Group(resultstest.MadeUp(2))
	var strategies []string
	for _, g := range methods[:3] {
		strategies = append(strategies, g.Label)
	}
	metrics := []study.Metric{study.FID, study.ClassAccuracy}
	curve := func(pick []int) Figure {
		return ForgettingCurve(methods[pick[0]:pick[0]+1], metrics[pick[2]], pick[1])
	}
	controls := []Control{
		{Name: "strategy", Options: strategies},
		{Name: "task", Options: []string{"1: shirts", "2: pullovers"}, Slider: true, Start: 1},
		{Name: "metric", Options: []string{metrics[0].Name, metrics[1].Name}},
	}
	var picks []string
	first, out, err := ControlsHTML(`Losses <&> "more"`, controls, func(pick []int) (Figure, error) {
		picks = append(picks, fmt.Sprint(pick))
		return curve(pick), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	pictures := unpack(t, out)
	if len(pictures) != 12 || len(picks) != 12 || picks[0] != "[0 0 0]" || picks[1] != "[0 0 1]" || picks[11] != "[2 1 1]" {
		t.Fatalf("%d pictures of %v", len(pictures), picks)
	}
	for i, picture := range pictures {
		pick := pickAt(controls, i)
		f := curve(pick)
		if !strings.Contains(picture, "<b>"+f.Title+".</b>") || !strings.Contains(picture, metrics[pick[2]].Label()) || !strings.Contains(picture, ">"+strategies[pick[0]]+"<") {
			t.Errorf("picture %d is not that of %v", i, pick)
		}
		var any struct{}
		if err := xml.Unmarshal([]byte("<p>"+picture+"</p>"), &any); err != nil {
			t.Errorf("picture %d: %v", i, err)
		}
	}
	// What stands there without scripts: the start, as a still image, and no control that would not work.
	still, _, _ := strings.Cut(out, "<script>")
	if first.Title != "Forgetting of task 2" {
		t.Errorf("the still is %q, want the start", first.Title)
	}
	for _, want := range []string{"Shown above: strategy finetune, task 2: pullovers, metric FID",
		`aria-label="Losses &lt;&amp;&gt; &#34;more&#34;"`} {
		if !strings.Contains(still, want) {
			t.Errorf("the output without scripts lacks %s", want)
		}
	}
	for _, bad := range []string{"<input", "<select", "NaN"} {
		if strings.Contains(still, bad) {
			t.Errorf("the output without scripts has %s", bad)
		}
	}
	if regexp.MustCompile(`(src|href)="?https?:|@import|url\(`).MatchString(out) {
		t.Error("the output loads something")
	}
	if i := strings.Index(out, "</script>"); i != strings.LastIndex(out, "</script>") {
		t.Error("something ends the script early")
	}
	if strings.Contains(out, `"KEY"`) || strings.Contains(out, `"DATA"`) || strings.Contains(out, "= CONTROLS") {
		t.Error("a place of the script was not filled in")
	}
}

func TestControlsCannotBreakOutOfTheScript(t *testing.T) {
	f := ForgettingCurve(study.Group(resultstest.MadeUp(1)), study.FID, 0)
	f.Title = "</script><b>"
	_, out, err := ControlsHTML("</script>", []Control{{Name: "</script>", Options: []string{"</script>"}}}, func([]int) (Figure, error) { return f, nil })
	if err != nil || strings.Count(out, "</script>") != 1 {
		t.Errorf("%d ends of scripts, %v", strings.Count(out, "</script>"), err)
	}
}

func TestControlsErrors(t *testing.T) {
	f := ForgettingCurve(study.Group(resultstest.MadeUp(1)), study.FID, 0)
	many := make([]string, 21)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	same := func([]int) (Figure, error) { return f, nil }
	unlike := func(pick []int) (Figure, error) { // captions that do not shrink
		g := f
		for i := range 6000 {
			g.Caption += fmt.Sprint((i*i*7919+pick[0]*104729+i*31*pick[0])%99991, " ")
		}
		return g, nil
	}
	for _, c := range []struct {
		want     string
		controls []Control
		draw     func([]int) (Figure, error)
	}{
		{"there are none", nil, same},
		{"0 options", []Control{{Name: "task"}}, same},
		{"starts at number 1", []Control{{Name: "task", Options: []string{"a"}, Start: 1}}, same},
		{"need a name", []Control{{Options: []string{"a"}}}, same},
		{"more than 400", []Control{{Name: "a", Options: many}, {Name: "b", Options: many}}, same},
		{"need at most 300 kB", []Control{{Name: "a", Options: many}}, unlike},
		{"a 3: broken", []Control{{Name: "a", Options: many}}, func(pick []int) (Figure, error) {
			if pick[0] == 3 {
				return Figure{}, errors.New("broken")
			}
			return f, nil
		}},
	} {
		if _, _, err := ControlsHTML("title", c.controls, c.draw); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v; want one with %q", err, c.want)
		}
	}
	// 400 pictures of one figure are no more than one.
	if _, out, err := ControlsHTML("title", []Control{{Name: "a", Options: many[:20]}, {Name: "b", Options: many[:20]}}, same); err != nil || len(unpack(t, out)) != 400 {
		t.Errorf("400 combinations: %v", err)
	}
}

// Compacting moves what is drawn by at most a twentieth of a pixel, and leaves words alone.
func TestCompactSVG(t *testing.T) {
	got := compactSVG(`<svg aria-label="λ=0.123" width="520">` + "\n" +
		`<path d="M4.04,315L-30.26,0.123" style="stroke:currentColor;stroke-opacity:0.54902" />` + "\n" +
		`<path d="M0.04,0L0.08,0L0.12,0.96Z" />` + "\n" +
		`<path d="M1,1" style="fill:#-80;fill-opacity:0" />` + "\n" +
		`<text x="35.06" y="-0.001"` + "\n\t" + `style="fill:currentColor">0.001 &lt; 2.345</text>`)
	want := []string{`<svg aria-label="λ=0.123" width="520">`, `<path d="M4,315l-34.3,-314.9" style="stroke:currentColor;stroke-opacity:0.55" />`, `<path d="M0,0l0.1,0l0,1z" />`,
		`<text x="35.1" y="0" style="fill:currentColor">0.001 &lt; 2.345</text>`}
	if !slices.Equal(strings.Split(got, "\n"), want) {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}
