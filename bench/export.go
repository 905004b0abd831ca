package bench

// exportFormat is a way to get samples out of a system.
type exportFormat struct {
	name string // as in the tables
	path func(w *Workload, field int) string
}
