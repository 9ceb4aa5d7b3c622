// Package oneline keeps what a reader says of a damaged or hostile file to one line. The messages of YAML's decoder have
// several lines, and decoders of JSON, times and numbers repeat the value they could not read, which may be a whole file.
package oneline

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// most is how many bytes of a message are shown.
const most = 600

// Error returns err, which may be nil, with its message as [Text] has it. Its cause stays what it was.
func Error(err error) error {
	if err == nil {
		return nil
	}
	full := err.Error()
	if short := Text(full); short != full {
		return &shortened{short, err}
	}
	return err
}

// Text returns a text on one line, its white space and control characters being single spaces, and without its middle where
// it is longer than 600 bytes: what is wrong stands at the beginning, and often the cause at the end.
func Text(text string) string {
	if len(text) > most {
		head, tail := text[:most*2/3], text[len(text)-most/3:]
		text = head + " … " + tail
	}
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "�"), func(r rune) bool {
		return r == ' ' || Breaks(r)
	}), " ")
}

// Is says whether a text is one line: valid UTF-8 without control characters or others that end or turn round a line.
func Is(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, Breaks)
}

// Breaks says whether a character is none of one line: a control character, a separator of lines or paragraphs, or one that turns round
// what follows, to the end of a table's line.
func Breaks(r rune) bool {
	return unicode.IsControl(r) || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// shortened is an error with another message.
type shortened struct {
	text string
	err  error
}

func (s *shortened) Error() string { return s.text }
func (s *shortened) Unwrap() error { return s.err }
