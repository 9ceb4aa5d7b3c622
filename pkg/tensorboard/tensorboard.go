// Package tensorboard writes event files as TensorBoard reads them: scalars, pictures, texts and hyperparameters by training step.
//
// A file is a row of records. Each is its length in 8 bytes, a checksum of these, the event, and a checksum of that, all
// little-endian; a checksum is the CRC-32C (Castagnoli), rotated and shifted [tfrecord]. An event is a message of Protocol
// Buffers [event]. A record is written by one call, so that a process killed at any moment leaves whole records and at most one
// that is cut short, which [Whole] finds. Only what TensorBoard's own summaries write is written here, field by field.
//
// References:
//
//	[tfrecord]  TensorFlow. core/lib/io/record_writer.cc, lib/hash/crc32c.h
//	[event]     TensorFlow. core/util/event.proto, core/framework/summary.proto; tensorboard/plugins/hparams/plugin_data.proto
package tensorboard

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"maps"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is the checksum of a record's part.
func masked(data []byte) uint32 {
	sum := crc32.Checksum(data, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}

// frame makes an event a record.
func frame(event []byte) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(event)))
	out = binary.LittleEndian.AppendUint32(out, masked(out))
	out = append(out, event...)
	return binary.LittleEndian.AppendUint32(out, masked(event))
}

// mostRecord is the largest event that is believed, in bytes.
const mostRecord = 1 << 30

// Whole is how many bytes of a file, from its beginning, are whole records. It fails only where r does.
func Whole(r io.Reader) (int64, error) {
	var whole int64
	head := make([]byte, 12)
	for {
		switch _, err := io.ReadFull(r, head); err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return whole, nil
		default:
			return whole, err
		}
		size := binary.LittleEndian.Uint64(head)
		if masked(head[:8]) != binary.LittleEndian.Uint32(head[8:]) || size > mostRecord {
			return whole, nil
		}
		sum := crc32.New(castagnoli)
		switch _, err := io.CopyN(sum, r, int64(size)); err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return whole, nil
		default:
			return whole, err
		}
		var tail [4]byte
		switch _, err := io.ReadFull(r, tail[:]); err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return whole, nil
		default:
			return whole, err
		}
		if got := sum.Sum32(); (got>>15|got<<17)+0xa282ead8 != binary.LittleEndian.Uint32(tail[:]) {
			return whole, nil
		}
		whole += 12 + int64(size) + 4
	}
}

// Fields of the messages.
const (
	eventTime, eventStep, eventVersion, eventSummary, eventSession = 1, 2, 3, 5, 7
	summaryValue                                                   = 1
	valueTag, valueSimple, valueImage, valueTensor, valueMetadata  = 1, 2, 4, 8, 9
	dtFloat, dtString                                              = 1, 7
)

func appendString(b []byte, field protowire.Number, text string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), text)
}

func appendBytes(b []byte, field protowire.Number, data []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), data)
}

func appendInt(b []byte, field protowire.Number, v int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(v))
}

func appendDouble(b []byte, field protowire.Number, v float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, field, protowire.Fixed64Type), math.Float64bits(v))
}

// event begins an event.
func event(at time.Time, step int) []byte {
	b := appendDouble(nil, eventTime, float64(at.UnixMicro())/1e6)
	if step != 0 {
		b = appendInt(b, eventStep, step)
	}
	return b
}

// Header is the record that a file begins with.
func Header(at time.Time) []byte {
	return frame(appendString(event(at, 0), eventVersion, "brain.Event:2"))
}

// Restart is the record of a run that goes on: what was written before of this step and later ones is void.
func Restart(at time.Time, step int) []byte {
	return frame(appendBytes(event(at, step), eventSession, appendInt(nil, 1, 1))) // status START
}

// Record is the record of values at a step.
func Record(at time.Time, step int, values ...Value) []byte {
	var summary []byte
	for _, v := range values {
		summary = appendBytes(summary, summaryValue, v)
	}
	return frame(appendBytes(event(at, step), eventSummary, summary))
}

// Value is one value with its tag.
type Value []byte

// Scalar is a number.
func Scalar(tag string, v float64) Value {
	b := appendString(nil, valueTag, tag)
	return protowire.AppendFixed32(protowire.AppendTag(b, valueSimple, protowire.Fixed32Type), math.Float32bits(float32(v)))
}

// PNG is a picture of h×w pixels.
func PNG(tag string, h, w int, data []byte) Value {
	const rgb = 3
	picture := appendInt(appendInt(appendInt(nil, 1, h), 2, w), 3, rgb)
	return appendBytes(appendString(nil, valueTag, tag), valueImage, appendBytes(picture, 4, data))
}

// metadata says which of TensorBoard's plugins a value is for.
func metadata(plugin string, content []byte) []byte {
	data := appendString(nil, 1, plugin)
	if content != nil {
		data = appendBytes(data, 2, content)
	}
	return appendBytes(nil, 1, data)
}

// Text is a text in Markdown.
func Text(tag, markdown string) Value {
	tensor := appendInt(nil, 1, dtString)
	tensor = appendBytes(tensor, 2, nil) // a scalar
	tensor = appendString(tensor, 8, markdown)
	b := appendBytes(appendString(nil, valueTag, tag), valueTensor, tensor)
	return appendBytes(b, valueMetadata, metadata("text", nil))
}

// HParams are a run's settings, each a float64, a bool or a string; others are left out.
func HParams(settings map[string]any) Value {
	var info []byte
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		var value []byte
		switch v := settings[key].(type) {
		case float64:
			value = appendDouble(nil, 2, v)
		case string:
			value = appendString(nil, 3, v)
		case bool:
			value = appendInt(nil, 4, int(protowire.EncodeBool(v)))
		default:
			continue
		}
		info = appendBytes(info, 1, appendBytes(appendString(nil, 1, key), 2, value))
	}
	content := appendBytes(appendInt(nil, 1, 0), 3, info)
	tensor := appendInt(nil, 1, dtFloat) // a vector of one zero
	tensor = appendBytes(tensor, 2, appendBytes(nil, 2, appendInt(nil, 1, 1)))
	tensor = appendBytes(tensor, 5, make([]byte, 4))
	b := appendBytes(appendString(nil, valueTag, "_hparams_/session_start_info"), valueTensor, tensor)
	return appendBytes(b, valueMetadata, metadata("hparams", content))
}
