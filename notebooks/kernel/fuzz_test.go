package kernel

import (
	"bytes"
	"testing"

	"github.com/go-zeromq/zmq4"

	"palimpsest/pkg/fuzztest"
	"palimpsest/pkg/oneline"
)

// FuzzNotebook reads arbitrary notebooks.
func FuzzNotebook(f *testing.F) {
	for _, text := range []string{
		`{"nbformat":4,"metadata":{},"cells":[{"cell_type":"code","id":"a","execution_count":1,"metadata":{"tags":["slow"]},"source":["a\n","b"],` +
			`"outputs":[{"output_type":"stream","name":"stdout","text":"x"},{"output_type":"display_data","data":{"text/html":["<b>","</b>"],"application/json":{"a":[1]}},"metadata":{}},` +
			`{"output_type":"error","ename":"E","evalue":"v","traceback":["1","2"]}]},{"cell_type":"markdown","source":"# A","metadata":{}}]}`,
		`{"nbformat":4,"cells":[{"cell_type":"code","execution_count":null,"source":[]}]}`, `{"nbformat":3}`, `{"nbformat":4,"cells":[{"cell_type":"x\ny"}]}`,
		`{"nbformat":4,"cells":[{"cell_type":"code","source":{"a":1}}]}`, `{"nbformat":4,"cells":null}`, "null", "[]", `{"nbformat":4} 1`,
		`{"nbformat":4,"cells":[{"cell_type":"code","metadata":{"tags":"slow"},"source":""}]}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var nb *Notebook
		if fuzztest.Read(t, len(text), func() (err error) { nb, err = parse(text); return oneline.Error(err) }) != nil {
			return
		}
		for _, c := range nb.Cells {
			c.Tagged("slow")
			for _, o := range c.Outputs {
				if o == nil {
					t.Fatal("a cell has an output that is none")
				}
			}
		}
		fuzztest.Rereads(t, nb, (*Notebook).encode, parse)
	})
}

// FuzzMessage reads arbitrary messages, signed rightly, and applies them to a cell as the kernel's own are.
func FuzzMessage(f *testing.F) {
	const ours = `{"msg_id":"request"}`
	head := func(kind string) []byte { return []byte(`{"msg_id":"a","msg_type":"` + kind + `"}`) }
	f.Add(head("stream"), []byte(ours), []byte(`{"name":"stdout","text":"x"}`))
	f.Add(head("display_data"), []byte(ours), []byte(`{"data":{"text/plain":"x"},"transient":{"display_id":"d"}}`))
	f.Add(head("update_display_data"), []byte(ours), []byte(`{"data":{"text/plain":"y"},"transient":{"display_id":"d"}}`))
	f.Add(head("error"), []byte(ours), []byte(`{"ename":"E","traceback":["\u001b[31mred"]}`))
	f.Add(head("clear_output"), []byte(ours), []byte(`{"wait":true}`))
	f.Add(head("status"), []byte("{}"), []byte(`{"execution_state":"idle"}`))
	f.Add([]byte("null"), []byte("[]"), []byte(`"`))
	key := []byte("key")
	f.Fuzz(func(t *testing.T, header, parent, body []byte) {
		parts := [][]byte{header, parent, []byte("{}"), body}
		wire := zmq4.NewMsgFrom(append([][]byte{[]byte("topic"), delimiter, sign(key, parts)}, parts...)...)
		_ = fuzztest.Read(t, len(header)+len(parent)+len(body), func() error {
			m, err := decode(wire, key)
			if err != nil {
				return oneline.Error(err)
			}
			if !bytes.Equal(m.Content, body) {
				t.Fatal("the content is another one")
			}
			state(m)
			o := newOutputs()
			o.cells["request"] = &gathered{}
			return oneline.Error(o.add(m))
		})
	})
}
