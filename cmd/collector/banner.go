package main

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"

	"github.com/flopynet/collector/config"
)

// printBanner tells a person where the server is and what to try first.
func printBanner(out io.Writer, settings config.Config, listeners []net.Listener, locked bool) {
	fmt.Fprintf(out, "\n  collector %s is ready\n\n", versionNumber())
	scheme, curl := "http://", curlFor(locked)
	if settings.TLS.On() {
		scheme = "https://"
	}
	for _, listener := range listeners {
		fmt.Fprintf(out, "  listening on  %s%s\n", scheme, listener.Addr())
	}
	if locked {
		fmt.Fprintln(out, "  access        with a key")
	} else {
		fmt.Fprintln(out, "  access        for everybody who reaches it; keys change that")
	}
	directory := settings.DataDir
	if absolute, err := filepath.Abs(directory); err == nil {
		directory = absolute
	}
	fmt.Fprintf(out, "  data          %s\n", directory)
	fmt.Fprintf(out, "  durability    %s\n", durability(settings))
	for _, peer := range polled(settings.Flopynet) {
		fmt.Fprintf(out, "  polls         %s\n", peer.text(settings.Flopynet.Events))
	}
	fmt.Fprintln(out)
	base := scheme + dialable(listeners[0].Addr())
	if settings.SelfMetrics {
		fmt.Fprintf(out, "  try           %s '%s/metrics/query?metric=cpu_usage&source=system&from=now-5m'\n\n", curl, base)
	} else {
		fmt.Fprintf(out, "  try           %s '%s/metrics' -d '{\"source\": \"me\", \"metrics\": [{\"name\": \"answer\", \"value\": 42}]}'\n\n", curl, base)
	}
}

// curlFor is how a person calls the server, who has the key in a variable if one is needed.
func curlFor(locked bool) string {
	if locked {
		return `curl -H "Authorization: Bearer $KEY"`
	}
	return "curl"
}

// dialable returns the address with "any address", which can only be listened on, made this machine's.
func dialable(address net.Addr) string {
	tcp, ok := address.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return address.String()
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
}

// durability says what the chosen sync mode promises.
func durability(settings config.Config) string {
	switch settings.WAL.Sync {
	case config.SyncInterval:
		return fmt.Sprintf("wal.sync=interval: a power failure may cost the last %v", settings.WAL.SyncInterval)
	case config.SyncOff:
		return "wal.sync=off: a power failure may cost what the operating system hadn't written yet"
	default:
		return "wal.sync=always: what is acknowledged is on disk"
	}
}
