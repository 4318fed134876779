// The benchmark's Go side: os/exec. One request a line on stdin, one answer a line on stdout.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const soon = 300 * time.Microsecond

var errFailed = errors.New("the child failed")

func spawnWait(program string) (time.Duration, error) {
	begin := time.Now()
	err := exec.Command(program).Run()
	return time.Since(begin), err
}

func output(program string) (time.Duration, error) {
	begin := time.Now()
	var out, err bytes.Buffer
	command := exec.Command(program)
	command.Stdout, command.Stderr = &out, &err
	failed := command.Run()
	took := time.Since(begin)
	if failed == nil && (out.Len() != 24 || err.Len() != 24) {
		failed = errFailed
	}
	return took, failed
}

func wake(program string) (time.Duration, error) {
	command := exec.Command(program)
	if err := command.Start(); err != nil {
		return 0, err
	}
	killed := make(chan time.Time, 1)
	go func() {
		time.Sleep(soon)
		killed <- time.Now()
		syscall.Kill(command.Process.Pid, syscall.SIGKILL)
	}()
	command.Wait()
	return time.Since(<-killed), nil
}

var operations = map[string]func(string) (time.Duration, error){
	"spawn-wait": spawnWait, "output": output, "wake": wake,
}

func turn(name, program string, count int, budget time.Duration) (string, error) {
	operation := operations[name]
	if _, err := operation(program); err != nil {
		return "", err
	}
	begin := time.Now()
	var samples strings.Builder
	for done := 0; done < count && time.Since(begin) < budget; done++ {
		took, err := operation(program)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&samples, " %d", took.Nanoseconds())
	}
	return samples.String(), nil
}

func inflight(program string, total, width int) error {
	ended := make(chan error, width)
	for worker := 0; worker < width; worker++ {
		go func() {
			for done := 0; done < total/width; done++ {
				if err := exec.Command(program).Run(); err != nil {
					ended <- err
					return
				}
			}
			ended <- nil
		}()
	}
	var failed error
	for worker := 0; worker < width; worker++ {
		failed = errors.Join(failed, <-ended)
	}
	return failed
}

func answer(request []string) (string, error) {
	if len(request) != 4 {
		return "", errors.New("four words are needed")
	}
	first, err := strconv.Atoi(request[2])
	if err != nil {
		return "", err
	}
	second, err := strconv.Atoi(request[3])
	if err != nil {
		return "", err
	}
	if request[0] == "inflight" {
		return "", inflight(request[1], first, second)
	}
	return turn(request[0], request[1], first, time.Duration(second)*time.Microsecond)
}

func main() {
	fmt.Printf("os/exec of Go %s\n", strings.TrimPrefix(runtime.Version(), "go"))
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		samples, err := answer(strings.Split(lines.Text(), "\t"))
		if err != nil {
			fmt.Printf("error %v\n", strings.ReplaceAll(err.Error(), "\n", "; "))
			continue
		}
		fmt.Printf("ok%s\n", samples)
	}
}
