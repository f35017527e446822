package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Counts counts by one label.
type Counts struct {
	by   map[string]prometheus.Counter // written by New only
	rest prometheus.Counter
}

// Add counts n more.
func (c *Counts) Add(value string, n int) { pick(c.by, value, c.rest).Add(float64(n)) }

// Pairs counts by two labels.
type Pairs struct {
	by   map[[2]string]prometheus.Counter
	rest prometheus.Counter
}

// Add counts n more.
func (p *Pairs) Add(first, second string, n int) {
	pick(p.by, [2]string{first, second}, p.rest).Add(float64(n))
}

// Triples counts by three labels.
type Triples struct {
	by   map[[3]string]prometheus.Counter
	rest prometheus.Counter
}

// Add counts n more.
func (t *Triples) Add(first, second, third string, n int) {
	pick(t.by, [3]string{first, second, third}, t.rest).Add(float64(n))
}

func pick[K comparable](by map[K]prometheus.Counter, key K, rest prometheus.Counter) prometheus.Counter {
	if c, ok := by[key]; ok {
		return c
	}
	return rest
}

// Times is how long things take.
type Times struct{ h prometheus.Histogram }

// Add notes one of them.
func (t *Times) Add(took time.Duration) { t.h.Observe(took.Seconds()) }

// Sizes is how large things are.
type Sizes struct{ h prometheus.Histogram }

// Add notes one of them.
func (s *Sizes) Add(n int) { s.h.Observe(float64(n)) }

// family makes figures, every series of them at zero: what has not happened yet is there to be compared with.
type family struct{ registry *prometheus.Registry }

func (f family) vector(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	f.registry.MustRegister(v)
	return v
}

// counts makes one with a label; without one when that is "".
func (f family) counts(name, help, label string, values ...string) *Counts {
	if label == "" {
		one := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		f.registry.MustRegister(one)
		return &Counts{rest: one}
	}
	v := f.vector(name, help, label)
	c := &Counts{by: make(map[string]prometheus.Counter), rest: v.WithLabelValues(other)}
	for _, a := range values {
		c.by[a] = v.WithLabelValues(a)
	}
	return c
}

func (f family) pairs(name, help, label1 string, values1 []string, label2 string, values2 []string) *Pairs {
	v := f.vector(name, help, label1, label2)
	p := &Pairs{by: make(map[[2]string]prometheus.Counter), rest: v.WithLabelValues(other, other)}
	for _, a := range values1 {
		for _, b := range append(values2[:len(values2):len(values2)], other) {
			p.by[[2]string{a, b}] = v.WithLabelValues(a, b)
		}
	}
	return p
}

func (f family) triples(name, help, label1 string, values1 []string, label2 string, values2 []string, label3 string, values3 []string) *Triples {
	v := f.vector(name, help, label1, label2, label3)
	t := &Triples{by: make(map[[3]string]prometheus.Counter), rest: v.WithLabelValues(other, other, other)}
	for _, a := range values1 {
		for _, b := range append(values2[:len(values2):len(values2)], other) {
			for _, c := range values3 {
				t.by[[3]string{a, b, c}] = v.WithLabelValues(a, b, c)
			}
		}
	}
	return t
}

func (f family) times(name, help string, bounds ...float64) *Times {
	return &Times{f.histogram(name, help, bounds)}
}

func (f family) sizes(name, help string, bounds ...float64) *Sizes {
	return &Sizes{f.histogram(name, help, bounds)}
}

func (f family) histogram(name, help string, bounds []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: bounds})
	f.registry.MustRegister(h)
	return h
}
