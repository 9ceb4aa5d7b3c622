package table

import (
	"io/fs"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
)

// WriteSection replaces what is between the lines <!-- table:NAME --> and <!-- /table:NAME --> of a Markdown file
// by the given Markdown, such as that of a [Table] or a [study.Ledger]. It is an error if the file does not have the two lines
// once each, in this order.
func WriteSection(path, name, markdown string) error {
	old, updated, err := withSection(path, name, markdown)
	if err != nil || old == updated {
		return err
	}
	return atomicfile.Write(path, []byte(updated))
}

// HasSection returns an error if a Markdown file has no place for [WriteSection].
func HasSection(path, name string) error {
	_, _, err := withSection(path, name, "")
	return err
}

// CheckSection returns an error if what is under NAME in a Markdown file is not what [WriteSection] would write.
func CheckSection(path, name, markdown string) error {
	old, updated, err := withSection(path, name, markdown)
	if err != nil {
		return err
	}
	if old == updated {
		return nil
	}
	a, b := strings.Split(old, "\n"), strings.Split(updated, "\n")
	at := 0
	for at < len(a) && at < len(b) && a[at] == b[at] {
		at++
	}
	line := func(lines []string) string {
		if at < len(lines) {
			return lines[at]
		}
		return "the end of the file"
	}
	return errors.Errorf("%s:%d: table %s is not that of the stored runs:\nfound  %s\nneeded %s\nwrite it anew from the stored runs", path, at+1, name, line(a), line(b))
}

// withSection returns a Markdown file as it is and with one section renewed.
func withSection(path, name, markdown string) (old, updated string, err error) {
	data, err := atomicfile.Read(path, 64<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", errors.Errorf("there is no file %s; name one with the lines <!-- table:%s --> and <!-- /table:%s -->", path, name, name)
	}
	if err != nil {
		return "", "", err
	}
	old = string(data)
	updated, err = replaceSection(old, name, markdown)
	return old, updated, errors.WithMessage(err, path)
}

// replaceSection returns a Markdown text with one section renewed.
func replaceSection(old, name, markdown string) (string, error) {
	begin, end := "<!-- table:"+name+" -->", "<!-- /table:"+name+" -->"
	i, j := strings.Index(old, begin), strings.Index(old, end)
	if i < 0 || j < i || strings.Count(old, begin) != 1 || strings.Count(old, end) != 1 {
		return "", errors.Errorf("need the lines %s and %s once each, in this order", begin, end)
	}
	return old[:i+len(begin)] + "\n\n" + markdown + "\n" + old[j:], nil
}
