package cl

// byTask are f and r of L = f·mean(loss_fresh) + r·(the strategy's own term) at a task, 0 being the first, for the schedules
// that depend on the number of tasks alone: see [ScheduleConstant] and those after it.
func byTask(schedule string, lambda float64, task int) (fresh, own float64) {
	k := float64(task + 1)
	switch schedule {
	case ScheduleInverse:
		return 1, lambda / k
	case ScheduleComplement:
		return 1 / k, (1 - 1/k) * lambda
	}
	return 1, lambda
}

// taskSchedules are the schedules that byTask knows.
var taskSchedules = []string{ScheduleConstant, ScheduleInverse, ScheduleComplement}

// scaleFresh multiplies the weights of the fresh rows.
func (s *Step) scaleFresh(factor float64) {
	for row := range s.Fresh {
		s.Batch.W[row] = float32(factor * float64(s.Batch.W[row]))
	}
}
