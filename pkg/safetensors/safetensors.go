// Package safetensors writes tensors to files in the safetensors format [safetensors] and reads back files, above all
// those whose tensors are known beforehand.
//
// A file is the header's length as 8 bytes, the header, then the values of the tensors one after another without gaps.
// The header is a JSON object of each tensor's name with its type, its shape and the bytes it takes among the values,
// and of "__metadata__" with pairs of strings; spaces fill it up to a multiple of 8 bytes. All is little-endian, as are
// the processors that GoMLX runs on, so that values are copied bit for bit.
//
// Of the format's types the package knows float64, float32, float16 and bfloat16 ("F64", "F32", "F16", "BF16"), int32 ("I32") and
// int64 ("I64"). A reader gets what it asked for or an
// error: a file with a tensor too few, too many, of another type or shape, or with bytes that no tensor takes, is
// refused. Not-a-number and infinities are values like others.
//
// References:
//
//	[safetensors]  Hugging Face. Safetensors, format. https://github.com/huggingface/safetensors#format
package safetensors

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
)

// Tensor is a tensor with the name it has in a file.
type Tensor struct {
	Name  string
	Value *tensors.Tensor
	Part  *Part // what of Value the file's tensor is; nil: all of it
}

// entry is what a header says of a tensor; the offsets count from the first byte of the values.
type entry struct {
	DType   string   `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// metadataKey is the one key of a header that is no tensor's name.
const metadataKey = "__metadata__"

// maxHeader is the longest header that is believed, in bytes.
const maxHeader = 64 << 20

var dtypeNames = map[dtypes.DType]string{dtypes.Float64: "F64", dtypes.Float32: "F32", dtypes.Float16: "F16", dtypes.BFloat16: "BF16",
	dtypes.Int32: "I32", dtypes.Int64: "I64"}

// knownTypes names the types of dtypeNames in errors.
const knownTypes = "F64, F32, F16, BF16, I32 and I64"
