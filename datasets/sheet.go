package datasets

// Sheet returns the first columns training images of every class in task order, flat [rows·columns, H, W, C] and
// scaled to [-1, 1], and the number of classes, rows. A class of fewer images starts over; one of none is black.
func (b *Benchmark) Sheet(columns int) (images []float32, rows int) {
	for _, task := range b.Tasks {
		for _, class := range task.Classes {
			of := task.Train.IndicesOf(class)
			row := make([]uint8, columns*b.H*b.W*b.C)
			for i := range columns {
				if len(of) > 0 {
					copy(row[i*task.Train.ImageSize():], task.Train.Image(of[i%len(of)]))
				}
			}
			scaled := make([]float32, len(row))
			Scale(scaled, row)
			images = append(images, scaled...)
			rows++
		}
	}
	return images, rows
}
