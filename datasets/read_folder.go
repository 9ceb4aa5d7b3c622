package datasets

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/pkg/errors"
	"golang.org/x/text/unicode/norm"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/words"
)

// folderReading reads pictures in folders of their classes: PATH/train/CLASS/*, PATH/test/CLASS/* and perhaps PATH/val/CLASS/*,
// or PATH/CLASS/* without a split. Classes are ordered by the bytes of their names. Names are converted to Unicode's normal form NFC:
// macOS stores accents in another form, NFD, and a folder copied from there must be the same set.
var folderReading = reading{
	name:  "class folders of pictures (PATH/CLASS/*.png, or PATH/train/CLASS/* and PATH/test/CLASS/*)",
	files: folderFiles,
	open:  openFolder,
}

// pictureExtensions are the endings of the files that are read. Files with other endings are ignored, except [unreadExtensions].
var pictureExtensions = []string{".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".webp", ".bmp", ".tif", ".tiff"}

// unreadExtensions are the endings of pictures in formats that this program cannot read. Such a file counts as a broken picture: if it were ignored, nobody would notice.
var unreadExtensions = []string{".heic", ".heif", ".avif", ".svg", ".jxl", ".jp2", ".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw",
	".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".ico", ".tga", ".pcx", ".psd", ".exr", ".hdr", ".dds", ".qoi", ".xcf", ".orf", ".rw2"}

// isUnread says whether a file is, by its name, a picture in a format that cannot be read.
func isUnread(name string) bool {
	return slices.Contains(unreadExtensions, strings.ToLower(filepath.Ext(name)))
}

// isPicture says whether a file is a picture, judged by its name.
func isPicture(name string) bool {
	return slices.Contains(pictureExtensions, strings.ToLower(filepath.Ext(name)))
}

// isHidden says whether a file or folder is one that operating systems create and do not show to users.
func isHidden(name string) bool {
	switch strings.ToLower(name) {
	case "thumbs.db", "desktop.ini", "__macosx", "$recycle.bin":
		return true
	}
	return strings.HasPrefix(name, ".")
}

// folderFiles lists all pictures in folders within a folder.
func folderFiles(path string, folder bool) (files []string, ok bool, err error) {
	if !folder {
		return nil, false, nil
	}
	var wrong []string
	walkPictures(path, nil, func(file string) {
		if !isUnread(file) || filepath.Dir(file) != path { // a drawing next to the class folders belongs to no class
			files = append(files, file)
		}
	}, func(err error) { wrong = append(wrong, err.Error()) })
	if len(wrong) > 0 {
		err = errors.New(strings.Join(wrong[:min(len(wrong), mostTold)], "; also, "))
	}
	return files, len(files) > 0, err
}

// mostTold is how many of many things an error tells one by one.
const mostTold = 20

// walkPictures calls found with every picture below a folder, in the order of names. It follows links; above
// holds the real paths of the folders above this one. It calls wrong for links that lead in a circle, and for two names that
// differ in case or in Unicode's normal form alone, because other systems store them as one file, and goes on without them.
func walkPictures(folder string, above []string, found func(file string), wrong func(error)) {
	actual, err := filepath.EvalSymlinks(folder)
	if err != nil {
		wrong(errors.Errorf("%s leads nowhere or in a circle (%s); remove the link", folder, reasonOf(err)))
		return
	}
	if slices.Contains(above, actual) {
		wrong(errors.Errorf("%s is a link that leads back to %s, in a circle; remove it", folder, actual))
		return
	}
	above = append(slices.Clone(above), actual)
	entries, err := entriesOf(folder)
	if err != nil {
		wrong(err)
		return
	}
	if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return !norm.NFC.IsNormalString(e.Name()) }) {
		slices.SortStableFunc(entries, func(a, b fs.DirEntry) int {
			return strings.Compare(norm.NFC.String(a.Name()), norm.NFC.String(b.Name()))
		})
	}
	byCase := map[string]string{}
	for _, e := range entries {
		name, path := e.Name(), filepath.Join(folder, e.Name())
		if isHidden(name) {
			continue
		}
		isFolder := e.IsDir()
		if e.Type()&fs.ModeSymlink != 0 {
			info, err := os.Stat(path)
			if err != nil && !isPicture(name) { // a picture's link is reported when the picture is read
				wrong(linkError(path, err)) // the link may be to a class folder
				continue
			}
			isFolder = err == nil && info.IsDir()
		}
		if !isFolder && !isPicture(name) && !isUnread(name) && !isPictureInside(path) {
			continue
		}
		key := strings.ToLower(norm.NFC.String(name))
		if other, taken := byCase[key]; taken {
			how := "upper and lower case"
			if !strings.EqualFold(other, name) {
				how = "the way their accents are stored (Unicode's normal forms)"
			}
			wrong(errors.Errorf("%s and %s differ in %s alone, so other systems take them for one; rename one of them", filepath.Join(folder, other), path, how))
			continue
		}
		byCase[key] = name
		if !isFolder {
			found(path)
		} else {
			walkPictures(path, above, found, wrong)
		}
	}
}

// linkError says why a link cannot be followed.
func linkError(link string, err error) error {
	if errors.Is(err, syscall.ELOOP) {
		return errors.Errorf("%s is a link that leads in a circle (%s); remove it", link, reasonOf(err))
	}
	to, linkErr := os.Readlink(link)
	switch {
	case linkErr != nil:
		return linkErr
	case errors.Is(err, fs.ErrNotExist):
		return errors.Errorf("%s is a link to %s, which is not there; bring that back, or remove the link", link, to)
	}
	return errors.Errorf("%s is a link to %s, which cannot be read (%s); make it readable, or remove the link", link, to, reasonOf(err))
}

// isPictureInside says whether a file is a picture, judged by its first bytes, if its name has no ending or one of digits alone.
// A file that cannot be read counts as a picture, so that the user hears of it.
func isPictureInside(path string) bool {
	if strings.Trim(filepath.Ext(path), ".0123456789") != "" {
		return false
	}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return true
	}
	defer f.Close()
	head := make([]byte, 512)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return true
	}
	_, err = lookAtPicture(head[:n])
	return n > 0 && !errors.As(err, new(noPicture))
}

// folderReader is an opened folder.
type folderReader struct {
	root     string
	names    []string // of classes
	pictures []filed
	// deeper is how many pictures lie in folders within their class folder, firstDeeper the first of them.
	deeper      int
	firstDeeper string
}

// filed is a picture in its folder, of which there may be millions.
type filed struct {
	name  string // from root
	split split
	label int32
}

func (f *folderReader) classes() []string { return f.names }
func (f *folderReader) total() int        { return len(f.pictures) }

func (f *folderReader) each(yield func(picture) error) error {
	for _, at := range f.pictures {
		read := func() ([]byte, error) {
			if isUnread(at.name) {
				return nil, errors.Errorf("is a picture of a kind that is not read (%s); save it as PNG", filepath.Ext(at.name))
			}
			return readPicture(filepath.Join(f.root, at.name))
		}
		if err := yield(picture{name: at.name, split: at.split, label: at.label, data: read}); err != nil {
			return err
		}
	}
	return nil
}

// readPicture reads the file of a picture. Its errors do not name the file: the caller adds the name in front.
func readPicture(path string) ([]byte, error) {
	b, err := atomicfile.Read(path, maxPictureBytes)
	if err == nil {
		return b, nil
	}
	info, statErr := os.Stat(path)
	switch {
	case statErr != nil:
		if l, err := os.Lstat(path); err == nil && l.Mode()&fs.ModeSymlink != 0 {
			statErr = linkError(path, statErr)
		} else {
			statErr = errors.Errorf("%s cannot be read (%s); bring it back", path, reasonOf(statErr))
		}
		return nil, errors.New(strings.TrimPrefix(statErr.Error(), path+" "))
	case errors.Is(err, fs.ErrPermission):
		return nil, errors.Errorf("cannot be read (%s); make it readable", reasonOf(err))
	case !info.Mode().IsRegular():
		return nil, errors.New(strings.TrimPrefix(err.Error(), path+" "))
	}
	return nil, errors.New(strings.TrimPrefix(reasonOf(err), path+" "))
}

// openFolder sorts the pictures by split and class.
func openFolder(root string, files []string, how choices) (reader, error) {
	if how.Label != "" {
		return nil, errors.Errorf("label=%s, but pictures in class folders have one label, the folder", how.Label)
	}
	f := &folderReader{root: root}
	splits, err := splitFolders(root)
	if err != nil {
		return nil, err
	}
	classOf := make([]string, 0, len(files))
	nested := map[string][inTest + 1]bool{} // by class, the splits that the names of folders in the class folder mean
	for _, file := range files {
		name, err := filepath.Rel(root, file)
		if err != nil {
			return nil, err
		}
		p := filed{name: name}
		parts := strings.Split(filepath.ToSlash(name), "/")
		if splits {
			p.split, parts = splitNamed(parts[0]), parts[1:]
		}
		if len(parts) < 2 {
			return nil, errors.Errorf("%s lies in no class folder; move it into a folder that is named as its class, or remove it", file)
		}
		if len(parts) > 2 {
			if f.deeper++; f.deeper == 1 {
				f.firstDeeper = name
			}
			if inside := nested[parts[0]]; !splits {
				inside[splitNamed(parts[1])] = true
				nested[parts[0]] = inside
				if inside[inTrain] && (inside[inVal] || inside[inTest]) {
					within := filepath.Join(root, parts[0])
					return nil, errors.Errorf("%s holds training and test images itself, by the names of its folders; name it instead of %s, or move them to %s",
						within, root, filepath.Join(root, "train", parts[0])+" and "+filepath.Join(root, "test", parts[0]))
				}
			}
		}
		f.pictures, classOf = append(f.pictures, p), append(classOf, norm.NFC.String(parts[0]))
	}
	f.names = slices.Compact(slices.Sorted(slices.Values(classOf)))
	if err := emptyClasses(root, splits, f.names); err != nil {
		return nil, err
	}
	for i, class := range classOf {
		at, _ := slices.BinarySearch(f.names, class)
		f.pictures[i].label = int32(at)
	}
	slices.SortStableFunc(f.pictures, func(a, b filed) int { return int(a.split) - int(b.split) })
	return f, nil
}

// splitFolders says whether the folders in root are splits: one of them is called train and holds folders. (One that holds pictures
// is a class called train.) It returns an error if there is only train, if there is a folder that is no split, or if train is missing.
func splitFolders(root string) (bool, error) {
	entries, err := entriesOf(root)
	if err != nil {
		return false, err
	}
	var train, others, measured []string // folders of training images, of none and of other splits
	for _, e := range entries {
		path := filepath.Join(root, e.Name())
		if info, err := os.Stat(path); err != nil || !info.IsDir() || isHidden(e.Name()) {
			continue
		}
		switch splitNamed(e.Name()) {
		case inTrain:
			train = append(train, path)
		case noSplit:
			others = append(others, e.Name())
		default:
			measured = append(measured, path)
		}
	}
	named := slices.Concat(train, measured)
	if len(named) == 0 {
		return false, nil
	}
	inside, err := entriesOf(named[0])
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(inside, func(e fs.DirEntry) bool {
		return !isHidden(e.Name()) && (isPicture(e.Name()) || isUnread(e.Name()) || isPictureInside(filepath.Join(named[0], e.Name())))
	}) {
		return false, nil // a class of trains
	}
	switch {
	case len(train) == 0:
		return false, errors.Errorf("%s has %s but no train; add %s, or name %s itself, of which a fifth then becomes test images",
			root, filepath.Base(named[0]), filepath.Join(root, "train", "CLASS"), named[0])
	case len(train) > 1:
		return false, errors.Errorf("%s and %s are both training images; keep one", train[0], train[1])
	case len(others) > 0:
		return false, errors.Errorf("%s holds %s next to train; need only train, test and val in it: move the rest away", root, others[0])
	case len(measured) == 0:
		return false, errors.Errorf("%s has train but neither test nor val; add %s, or name %s itself, of which a fifth then becomes test images",
			root, filepath.Join(root, "test", "CLASS"), train[0])
	}
	return true, nil
}

// emptyClasses returns an error that names the class folders without a picture.
func emptyClasses(root string, splits bool, classes []string) error {
	folders := []string{root}
	if splits {
		entries, err := entriesOf(root)
		if err != nil {
			return err
		}
		folders = nil
		for _, e := range entries {
			if splitNamed(e.Name()) != noSplit {
				folders = append(folders, filepath.Join(root, e.Name()))
			}
		}
	}
	var empty []string
	for _, folder := range folders {
		entries, err := entriesOf(folder)
		if err != nil {
			return err
		}
		for _, e := range entries {
			path := filepath.Join(folder, e.Name())
			if info, err := os.Stat(path); err != nil || !info.IsDir() || isHidden(e.Name()) {
				continue
			}
			if _, found := slices.BinarySearch(classes, norm.NFC.String(e.Name())); !found {
				empty = append(empty, path)
			}
		}
	}
	switch len(empty) {
	case 0:
		return nil
	case 1:
		return errors.Errorf("the class folder %s holds no picture; add some, or remove the folder", empty[0])
	}
	return errors.Errorf("%d class folders hold no picture: %s; add some, or remove the folders", len(empty), words.Some(empty, mostTold))
}

// entriesOf lists what a folder holds, in the order of names.
func entriesOf(folder string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, errors.Errorf("the folder %s cannot be listed (%s); make it readable, or remove it", folder, reasonOf(err))
	}
	return entries, nil
}
