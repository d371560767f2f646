package invite

import "time"

// Backoff returns how long to wait after try number tries, which counts from 1,
// before the next one. The first pause is 50 to 250 ms; then they double from 2 s,
// up to one minute if it is to be soon and ten if not, each longer or shorter by up to
// a fifth. rnd is a random number in [0, 1).
func Backoff(tries int, soon bool, rnd float64) time.Duration {
	if tries <= 1 {
		return firstRetryMin + time.Duration(rnd*float64(firstRetryMax-firstRetryMin))
	}
	top := backoffFar
	if soon {
		top = backoffNear
	}
	d := backoffStart
	for i := 2; i < tries && d < top; i++ {
		d *= 2
	}
	return time.Duration(float64(min(d, top)) * (1 - backoffJitter + 2*backoffJitter*rnd))
}
