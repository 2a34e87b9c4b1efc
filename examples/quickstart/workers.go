package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/oauthstore/oauthstore/config"
)

// workerVariable is set in the other processes, to what they have to do.
const workerVariable = "OAUTHSTORE_QUICKSTART_WORKER"

const (
	redeemJob  = "redeem"  // a code; the answer is how many could
	refreshJob = "refresh" // a client's ID and a refresh token; the answer is the fingerprint of the response
)

// worker is another process with the same store. It says when it is ready, reads one line and answers with one.
type worker struct {
	cmd       *exec.Cmd
	in        io.WriteCloser
	out       *bufio.Reader
	complaint bytes.Buffer
}

// startWorkers returns when all have opened the store.
func startWorkers(ctx context.Context, job string, n int) ([]*worker, error) {
	var workers []*worker
	for range n {
		w, err := startWorker(ctx, job)
		if err != nil {
			stopAll(workers)
			return nil, err
		}
		workers = append(workers, w)
	}
	for _, w := range workers {
		if _, err := w.out.ReadString('\n'); err != nil {
			stopAll(workers)
			return nil, w.failed(err)
		}
	}
	return workers, nil
}

// startWorker starts this program again. It inherits the environment, and so the choice of the store.
func startWorker(ctx context.Context, job string) (*worker, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	w := &worker{cmd: exec.CommandContext(ctx, program)} //nolint:gosec // this program itself
	w.cmd.Env = append(os.Environ(), workerVariable+"="+job)
	w.cmd.Stderr = &w.complaint
	w.cmd.Cancel = func() error { return w.cmd.Process.Signal(os.Interrupt) }
	w.cmd.WaitDelay = 2 * time.Second // then it is killed
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.out = bufio.NewReader(out)
	return w, w.cmd.Start()
}

// send gives all workers the same line.
func send(workers []*worker, line string) error {
	for _, w := range workers {
		if _, err := io.WriteString(w.in, line+"\n"); err != nil {
			return fmt.Errorf("another process: %w", err)
		}
	}
	return nil
}

// answers waits for all workers and returns what they said, or the first complaint.
func answers(workers []*worker) ([]string, error) {
	var lines []string
	var first error
	for _, w := range workers {
		line, errLine := w.out.ReadString('\n')
		_ = w.in.Close() // fails if the worker is gone, which Wait says better
		if err := errors.Join(w.cmd.Wait(), errLine); err != nil && first == nil {
			first = w.failed(err)
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines, first
}

// stopAll ends workers that are not needed any more.
func stopAll(workers []*worker) {
	for _, w := range workers {
		_ = w.in.Close()
		_ = w.cmd.Wait() // it may well complain
	}
}

// failed prefers what the worker said. It is for a worker that has ended.
func (w *worker) failed(err error) error {
	if text := strings.TrimSpace(w.complaint.String()); text != "" {
		return fmt.Errorf("another process: %s", text)
	}
	return fmt.Errorf("another process: %w", err)
}

// ask gives a line to one worker and returns its answer.
func ask(ctx context.Context, job, line string) (string, error) {
	workers, err := startWorkers(ctx, job, 1)
	if err != nil {
		return "", err
	}
	errSend := send(workers, line)
	lines, err := answers(workers)
	return lines[0], errors.Join(errSend, err)
}

// work is what a worker does.
func work(ctx context.Context, job string, in io.Reader, out io.Writer) error {
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	t := &tour{cfg: cfg}
	if err := t.open(ctx); err != nil {
		return err
	}
	defer t.store.Close() //nolint:errcheck // what it wrote is committed
	fmt.Fprintln(out, "ready")
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil {
		return err
	}
	answer, err := t.answer(ctx, job, strings.Fields(line))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, answer)
	return err
}

func (t *tour) answer(ctx context.Context, job string, words []string) (string, error) {
	switch {
	case job == redeemJob && len(words) == 1:
		won, err := redeem(ctx, t.store, words[0], perProcess)
		return strconv.Itoa(won), err
	case job == refreshJob && len(words) == 2:
		t.client.ID = words[0]
		response, _, err := t.again(ctx, t.oauth, words[1])
		return fingerprint(response), err
	}
	return "", fmt.Errorf("%s is %q, which is no job for the line that came", workerVariable, job)
}
