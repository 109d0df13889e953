package main

import (
	"time"

	"github.com/schollz/progressbar/v3"
)

// slow is after how long a bar is drawn.
const slow = 2 * time.Second

// progress draws a bar on a terminal, once what is done turns out to take long.
func (c *cli) progress(doing, unit string) (progress func(done, total int64), finish func()) {
	if !isTerminal(c.errs) {
		return func(int64, int64) {}, func() {}
	}
	var bar *progressbar.ProgressBar
	began := time.Now()
	progress = func(done, total int64) {
		if bar == nil && time.Since(began) < slow {
			return
		}
		if bar == nil {
			bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(c.errs), progressbar.OptionShowIts(),
				progressbar.OptionSetItsString(unit), progressbar.OptionSetDescription(doing), progressbar.OptionClearOnFinish())
		}
		bar.ChangeMax64(max(total, done))
		_ = bar.Set64(done)
	}
	return progress, func() {
		if bar != nil {
			_ = bar.Finish()
		}
	}
}
