package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the linker: go build -ldflags "-X main.version=...". Without it, as after
// "go install", the module's version is used.
var version string

// versionNumber returns the version, "dev" when nobody gave one.
func versionNumber() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}

func versionText() string {
	return fmt.Sprintf("collector %s (%s, %s/%s)", versionNumber(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
