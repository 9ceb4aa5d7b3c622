package datasets

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pkg/errors"
	"golang.org/x/text/unicode/norm"

	"palimpsest/pkg/words"
)

// GivenTasks returns the labels of classes that are listed task by task: by name, [[rose, tulip], [daisy]], or by label, [[0, 1], [2]],
// if no class of the set has a number as its name. A list must not be empty. Classes that are in no list are not used. It returns an
// error for a name that the set does not have (and suggests the nearest one that it has), for a name that several classes have, and for
// a class that is listed twice, and for a set without classes.
func GivenTasks(d *Dataset, tasks [][]string) ([][]int, error) {
	if err := d.named(); err != nil {
		return nil, err
	}
	if len(tasks) == 0 {
		return nil, errors.New("no tasks are listed; give the names of their classes, such as [[rose, tulip], [daisy]]")
	}
	labels := map[string]int{}
	byNumber := true // where a class is itself called by a number, a number is a name
	for label, name := range d.Classes {
		if _, err := strconv.Atoi(name); err == nil {
			byNumber = false
		}
		if _, twice := labels[norm.NFC.String(name)]; twice {
			label = ambiguous
		}
		labels[norm.NFC.String(name)] = label
	}
	var all [][]int
	taken := map[int]int{} // class to task
	for i, list := range tasks {
		if len(list) == 0 {
			return nil, errors.Errorf("%s lists no class; name at least one of %s", words.Task(i), someOf(d.Classes))
		}
		var group []int
		for _, name := range list {
			label, ok := labels[norm.NFC.String(name)]
			if n, err := strconv.Atoi(name); !ok && byNumber && err == nil && n >= 0 && n < len(d.Classes) {
				label, ok = n, true
			}
			switch before, twice := taken[label]; {
			case !ok:
				return nil, errors.Errorf("%s lists the class %.100q, which %s does not have%s; it has %s",
					words.Task(i), name, d.Name, words.DidYouMean(name, d.Classes), someOf(d.Classes))
			case label == ambiguous:
				return nil, errors.Errorf("%s lists the class %.100q, but several classes of %s have that name; rename them", words.Task(i), name, d.Name)
			case twice && before == i:
				return nil, errors.Errorf("the class %.100q is listed twice in %s; list each once", name, words.Task(i))
			case twice:
				return nil, errors.Errorf("the class %.100q is listed in %s and again in %s; list each once", name, words.Task(before), words.Task(i))
			}
			taken[label] = i
			group = append(group, label)
		}
		all = append(all, group)
	}
	return all, nil
}

// ambiguous stands for the label of a name that several classes have.
const ambiguous = -1

// mostNames is how many classes an error or the name of a task lists.
const mostNames = 20

// someOf lists names, the first ones of many.
func someOf(names []string) string {
	if len(names) <= mostNames {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:mostNames], ", "), len(names)-mostNames)
}

// taskName is the name of a task that brings the classes of these names.
func taskName(classes []string) string {
	if len(classes) <= mostNames {
		return strings.Join(classes, " + ")
	}
	return fmt.Sprintf("%s + … + %s (%d classes)", classes[0], classes[len(classes)-1], len(classes))
}

// sizesText says how many classes each task brings: "3 tasks of 2, 1 and 4 classes", "30 tasks of 1 to 12 classes".
func sizesText(groups [][]int) string {
	var sizes []int
	for _, g := range groups {
		sizes = append(sizes, len(g))
	}
	least, most := slices.Min(sizes), slices.Max(sizes)
	switch {
	case least == most:
		return splitText(len(sizes)*most, most)
	case len(sizes) > mostNames:
		return fmt.Sprintf("%s of %d to %d classes", words.Count(len(sizes), "task"), least, most)
	}
	return fmt.Sprintf("%s of %s and %d classes", words.Count(len(sizes), "task"),
		strings.Trim(strings.ReplaceAll(fmt.Sprint(sizes[:len(sizes)-1]), " ", ", "), "[]"), sizes[len(sizes)-1])
}
