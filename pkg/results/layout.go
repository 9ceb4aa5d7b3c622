package results

import (
	"bytes"
	"encoding/json"

	"github.com/pkg/errors"
)

// short is how long an array or an object may be that takes one line.
const short = 120

// layout writes a JSON text, each token as it is, so that a file of many numbers has lines that one can read and compare: an
// element or a member a line, save that what is short, and an array that holds no other, takes one line. A line break is at
// its end.
func layout(text []byte) ([]byte, error) {
	var plain bytes.Buffer
	if err := json.Compact(&plain, text); err != nil {
		return nil, errors.WithStack(err)
	}
	l := layouter{in: plain.Bytes()}
	l.value(0)
	l.out.WriteByte('\n')
	return l.out.Bytes(), nil
}

// layouter moves a compact JSON text from in to out.
type layouter struct {
	in  []byte
	out bytes.Buffer
}

// value moves the value that in begins with.
func (l *layouter) value(depth int) {
	if l.in[0] != '[' && l.in[0] != '{' {
		l.out.Write(l.take(scalar(l.in)))
		return
	}
	end, flat := container(l.in)
	if flat && l.in[0] == '[' || end <= short && depth > 0 || end == 2 {
		for n := 0; n < end; {
			token := l.take(max(1, scalar(l.in)))
			n += len(token)
			l.out.Write(token)
			if c := token[0]; c == ',' || c == ':' {
				l.out.WriteByte(' ')
			}
		}
		return
	}
	object := l.in[0] == '{'
	l.out.Write(l.take(1))
	for {
		l.line(depth + 1)
		if object {
			l.out.Write(l.take(scalar(l.in)))
			l.out.Write(l.take(1))
			l.out.WriteByte(' ')
		}
		l.value(depth + 1)
		mark := l.take(1)
		if mark[0] != ',' {
			l.line(depth)
			l.out.Write(mark)
			return
		}
		l.out.Write(mark)
	}
}

// take removes the first n bytes of in and returns them.
func (l *layouter) take(n int) []byte {
	taken := l.in[:n]
	l.in = l.in[n:]
	return taken
}

func (l *layouter) line(depth int) {
	l.out.WriteByte('\n')
	l.out.Write(bytes.Repeat([]byte{' '}, depth))
}

// scalar is the length of the string, the number or the word that a compact text begins with; 0 where that is a mark.
func scalar(text []byte) int {
	quoted := text[0] == '"'
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case quoted && c == '"' && i > 0:
			return i + 1
		case !quoted && bytes.IndexByte([]byte("[]{},:"), c) >= 0:
			return i
		}
	}
	return len(text)
}

// container is the length of the array or the object that a compact text begins with, and whether there is none inside it.
func container(text []byte) (length int, flat bool) {
	flat = true
	for depth := 0; ; {
		switch text[length] {
		case '[', '{':
			depth++
			flat = flat && depth == 1
		case ']', '}':
			if depth--; depth == 0 {
				return length + 1, flat
			}
		}
		length += max(1, scalar(text[length:]))
	}
}
