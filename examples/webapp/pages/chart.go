package pages

import "fmt"

// The size of the chart, in units of its view box.
const (
	chartWidth  = 600
	chartHeight = 160
)

// chart is the hour as lines of an SVG, each with the name of its class, and the minutes in which something happened.
type chart struct {
	Width, Height, Middle int
	Most                  int
	Lines                 []line
	Busy                  []Minute
}

type line struct {
	Class, Label string
	Points       string
	Sum          int
}

func chartOf(hour []Minute) chart {
	c := chart{Width: chartWidth, Height: chartHeight, Middle: chartHeight / 2, Most: 1}
	for _, m := range hour {
		c.Most = max(c.Most, m.Codes, m.Tokens, m.Refused)
		if m.Codes+m.Tokens+m.Refused > 0 {
			c.Busy = append(c.Busy, m)
		}
	}
	for _, of := range []struct {
		class, label string
		count        func(m Minute) int
	}{
		{"codes", "Codes", func(m Minute) int { return m.Codes }},
		{"tokens", "Token answers", func(m Minute) int { return m.Tokens }},
		{"refused", "Refusals", func(m Minute) int { return m.Refused }},
	} {
		one := line{Class: of.class, Label: of.label}
		for i, m := range hour {
			n := of.count(m)
			one.Sum += n
			one.Points += fmt.Sprintf("%d,%d ", i*chartWidth/(len(hour)-1), chartHeight-n*chartHeight/c.Most)
		}
		c.Lines = append(c.Lines, one)
	}
	return c
}
