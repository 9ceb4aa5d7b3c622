package datasets

//go:generate go run ./internal/mksample embedded

// What the embedded sample holds: so many images a class of each official split, chosen
// with this seed.
const (
	sampleTrainPerClass = 600
	sampleTestPerClass  = 100
	sampleSeed          = 0
)

// Sample draws the embedded sample from the full Fashion-MNIST: of each class the first 600
// training and the first 100 test images of a seeded shuffle (see Balanced), each split
// in its official order. Load("fashion-mnist-sample") holds the result.
func Sample(full *Dataset) (train, test *Images, err error) {
	if err := full.Validate(); err != nil {
		return nil, nil, err
	}
	inTrain, err := Balanced(full.Train.Labels, len(full.Classes), sampleTrainPerClass, sampleSeed)
	if err != nil {
		return nil, nil, err
	}
	inTest, err := Balanced(full.Test.Labels, len(full.Classes), sampleTestPerClass, sampleSeed)
	if err != nil {
		return nil, nil, err
	}
	return full.Train.Select(inTrain), full.Test.Select(inTest), nil
}
