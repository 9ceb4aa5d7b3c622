package datasets

import "github.com/pkg/errors"

// Glance is a small benchmark to look at: one task with at most n training images of each of the first few classes, prepared by p. It
// reads no more of the set than it needs, and leaves out pictures that cannot be read. It returns an error if n or classes is negative,
// where a set has no classes or training images, and where p cannot prepare its images.
func (d *Dataset) Glance(n, classes int, p Prep) (*Benchmark, error) {
	if err := d.named(); err != nil {
		return nil, err
	}
	if n < 0 || classes < 0 {
		return nil, errors.Errorf("%d images of each of %d classes of %s; need 0 or more of each", n, classes, d.where())
	}
	classes = min(classes, len(d.Classes))
	b := &Benchmark{ClassNames: d.Classes, Prep: p.normal(), Tasks: []Task{{Classes: upTo(classes)}}}
	if d.own == nil {
		if err := d.Train.Validate(); err != nil {
			return nil, errors.WithMessagef(err, "Train of %s", d.where())
		}
		var shown []int
		for class := range classes {
			of := d.Train.IndicesOf(class)
			shown = append(shown, of[:min(n, len(of))]...)
		}
		im, err := p.Apply(d.Train.Select(shown))
		if err != nil {
			return nil, err
		}
		b.Tasks[0].Train, b.H, b.W, b.C = im, im.H, im.W, im.C
		return b, nil
	}
	whole := p
	whole.SkipBroken = true // it only leaves them out
	h, w, c, err := d.own.shape(whole)
	if err != nil {
		return nil, err
	}
	im, enough := &Images{H: h, W: w, C: c}, errors.New("enough")
	missing := make([]int, classes)
	full := 0 // classes of which no more are wanted
	for class := range missing {
		for _, counts := range d.own.scan.Counts {
			missing[class] += counts[class]
		}
		if missing[class] = min(n, missing[class]); missing[class] == 0 {
			full++
		}
	}
	prepare := newPreparer(p.normal(), c)
	err = d.own.reader.each(func(in picture) error {
		if full == classes {
			return enough
		}
		if int(in.label) >= classes || missing[in.label] == 0 {
			return nil
		}
		pixels, info, err := in.decode()
		if err != nil {
			return nil // which [Info.Refusals] says
		}
		im.Pixels = append(im.Pixels, make([]uint8, im.ImageSize())...)
		prepare.prepare(im.Pixels[im.N*im.ImageSize():], pixels, info.h, info.w, info.c)
		im.N, im.Labels = im.N+1, append(im.Labels, in.label)
		if missing[in.label]--; missing[in.label] == 0 {
			full++
		}
		return nil
	})
	if err != nil && !errors.Is(err, enough) { // readers say where they were
		return nil, err
	}
	b.Tasks[0].Train, b.H, b.W, b.C = im, h, w, c
	return b, nil
}

// mostColumns is how many columns a sheet has at most.
const mostColumns = 1 << 16

// Sheet returns the first training images of every class, columns of each, in the order of the tasks, as [rows·columns, H, W, C]
// scaled to [-1, 1]; rows is the number of classes. If a class has fewer images, the rest of its row is black. It panics unless
// columns is from 0 to 2^16, and if b is not valid.
func (b *Benchmark) Sheet(columns int) (images []float32, rows int) {
	if err := b.Validate(); err != nil {
		panic(errors.WithMessage(err, "datasets.Benchmark.Sheet"))
	}
	if columns < 0 || columns > mostColumns {
		panic(errors.Errorf("datasets.Benchmark.Sheet: %d columns; need 0 to %d", columns, mostColumns))
	}
	for _, task := range b.Tasks {
		for _, class := range task.Classes {
			of := task.Train.IndicesOf(class)
			row := make([]uint8, columns*b.H*b.W*b.C)
			for i, k := range of[:min(columns, len(of))] {
				copy(row[i*task.Train.ImageSize():], task.Train.Image(k))
			}
			scaled := make([]float32, len(row))
			Scale(scaled, row)
			images = append(images, scaled...)
			rows++
		}
	}
	return images, rows
}
