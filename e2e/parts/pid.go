package parts

// PID is the process ID of the part's present life, or of its last one; 0 before
// the first. Benchmarks read what it cost from /proc.
func (p *process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life == nil {
		return 0
	}
	return p.life.cmd.Process.Pid
}
