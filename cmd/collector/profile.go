package main

import (
	"errors"
	"os"
	"runtime/pprof"
)

// profiled runs a function and writes a CPU profile of it to a file, none if path is empty. It is for
// collector bench --profile: a profile that can be asked for over HTTP would be one more thing to guard.
func profiled(path string, run func() error) (err error) {
	if path == "" {
		return run()
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := pprof.StartCPUProfile(file); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return run()
}
