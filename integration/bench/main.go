// Bench runs the benchmarks of this module, the contestants in a new order in each run, and prints medians of the
// ratios between them as a table: a machine that slows down meanwhile slows all of them.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"
)

func main() {
	runs := flag.Int("runs", 5, "how often each benchmark runs")
	times := flag.Int("calls", 2000, "in each benchmark; in memory, a hundred times as many")
	only := flag.String("only", "", "rows whose text holds this")
	flag.Parse()
	if err := run(context.Background(), *runs, *times, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// row is a line of the table: metric of ours over that of other, in one benchmark.
type row struct {
	op          string
	goroutines  int
	metric      string // p50-ns, p99-ns or ns/op
	ours, other string
	bound       float64 // at most; 0: none
}

func (r row) String() string {
	return fmt.Sprintf("%s, %d goroutines, %s, %s against %s", r.op, r.goroutines, r.metric, r.ours, r.other)
}

// rows are the comparisons. A rate that should be four times another is a time that should be a quarter.
func rows() []row {
	var all []row
	reads, writes := []string{"GetToken", "GetClient"}, []string{"CreateToken", "ConsumeCode", "Rotate"}
	for _, driver := range []string{"go", "cgo"} {
		ours, hand := "ours-"+driver+"-FULL", "hand-"+driver+"-FULL"
		for _, op := range reads {
			all = append(all, row{op, 1, "p50-ns", ours, hand, 1.5}, row{op, 64, "ns/op", ours, hand, 0})
		}
		for _, op := range writes {
			all = append(all,
				row{op, 1, "p50-ns", ours, hand, 1.2},
				row{op, 64, "ns/op", ours, hand, 0.25},
				row{op, 64, "p99-ns", ours, hand, 1},
				row{op, 64, "ns/op", ours, "hand-" + driver + "-NORMAL", 1},
			)
		}
		for _, op := range slices.Concat(reads, writes) {
			for _, goroutines := range []int{1, 64} {
				all = append(all, row{op, goroutines, "ns/op", ours, "dex-cgo-FULL", 1})
				if op != "GetClient" {
					all = append(all, row{op, goroutines, "ns/op", ours, "buntdb-FULL", 1})
				}
			}
		}
	}
	for _, op := range slices.Concat(reads, writes) {
		all = append(all, row{op, 1, "ns/op", "ours-go-FULL", "gorm-go-FULL", 0}, row{op, 64, "ns/op", "ours-go-FULL", "gorm-go-FULL", 0})
	}
	for _, op := range reads {
		all = append(all, row{op, 1, "ns/op", "ours-memory", "mutex-map", 1.2}, row{op, 64, "ns/op", "ours-memory", "mutex-map", 1})
	}
	return all
}

// benchmark names one, and its results by metric, one a run.
type benchmark struct {
	op         string
	goroutines int
	store      string
}

func run(ctx context.Context, runs, times int, only string) error {
	all := slices.DeleteFunc(rows(), func(r row) bool { return !strings.Contains(r.String(), only) })
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	binary := filepath.Join(dir, "bench.test")
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, ".").CombinedOutput(); err != nil { //nolint:gosec // into our own directory
		return fmt.Errorf("%w\n%s", err, out)
	}
	var queue []benchmark
	for _, r := range all {
		queue = append(queue, benchmark{r.op, r.goroutines, r.ours}, benchmark{r.op, r.goroutines, r.other})
	}
	slices.SortFunc(queue, func(a, b benchmark) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	queue = slices.Compact(queue)
	results := make(map[benchmark][]map[string]float64)
	for i := range runs {
		rand.Shuffle(len(queue), func(a, b int) { queue[a], queue[b] = queue[b], queue[a] }) //nolint:gosec // an order is no secret
		for _, b := range queue {
			values, err := measure(ctx, binary, b, times)
			if err != nil {
				return err
			}
			results[b] = append(results[b], values)
		}
		fmt.Fprintf(os.Stderr, "run %d of %d is done\n", i+1, runs)
	}
	show(all, results)
	return nil
}

func measure(ctx context.Context, binary string, b benchmark, times int) (map[string]float64, error) {
	if b.store == "ours-memory" || b.store == "mutex-map" {
		times *= 100
	}
	pattern := fmt.Sprintf("^Benchmark$/^op=%s$/^goroutines=%d$/^store=%s$", b.op, b.goroutines, b.store)
	out, err := exec.CommandContext(ctx, binary, "-test.run=^$", "-test.bench="+pattern, fmt.Sprintf("-test.benchtime=%dx", times)).Output() //nolint:gosec // our own binary
	if err != nil {
		return nil, fmt.Errorf("%v: %w\n%s", b, err, out)
	}
	reader := benchfmt.NewReader(bytes.NewReader(out), b.store)
	for reader.Scan() {
		result, ok := reader.Result().(*benchfmt.Result)
		if !ok {
			continue
		}
		values := make(map[string]float64)
		for _, v := range result.Values {
			unit, value := v.Unit, v.Value
			if v.OrigUnit != "" {
				unit, value = v.OrigUnit, v.OrigValue
			}
			values[unit] = value
		}
		return values, nil
	}
	return nil, errors.Join(reader.Err(), fmt.Errorf("%v: no result\n%s", b, out))
}

func show(all []row, results map[benchmark][]map[string]float64) {
	fmt.Println("| operation | goroutines | metric | store | against | median | theirs | ratio | bound | |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|")
	for _, r := range all {
		ours, theirs := results[benchmark{r.op, r.goroutines, r.ours}], results[benchmark{r.op, r.goroutines, r.other}]
		var ratios, mine, others []float64
		for i := range ours {
			mine, others = append(mine, ours[i][r.metric]), append(others, theirs[i][r.metric])
			ratios = append(ratios, ours[i][r.metric]/theirs[i][r.metric])
		}
		ratio := median(ratios)
		bound, verdict := "", ""
		if r.bound > 0 {
			bound, verdict = fmt.Sprintf("≤ %.2f", r.bound), "holds"
			if ratio > r.bound {
				verdict = "**does not hold**"
			}
		}
		fmt.Printf("| %s | %d | %s | %s | %s | %.1f µs | %.1f µs | %.2f | %s | %s |\n", r.op, r.goroutines, r.metric, r.ours, r.other,
			median(mine)/1000, median(others)/1000, ratio, bound, verdict)
	}
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
