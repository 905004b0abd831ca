package tidy

import (
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	codeFence    = regexp.MustCompile("(?ms)^```.*?^```")
	codeSpan     = regexp.MustCompile("`[^`\n]*`")
	markdownLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading      = regexp.MustCompile(`(?m)^#+ +(.+)$`)

	// machinePath finds folders of somebody's own machine.
	machinePath = regexp.MustCompile(`/(home|Users)/[a-z]|/(root|work)/[a-z.]`)
)

// TestLinksLeadSomewhere follows every relative link of every document, to the file and the heading.
func TestLinksLeadSomewhere(t *testing.T) {
	for _, document := range filesOf(t, ".md") {
		text := codeSpan.ReplaceAllString(codeFence.ReplaceAllString(read(t, document), ""), "")
		for _, link := range markdownLink.FindAllStringSubmatch(text, -1) {
			target, err := url.Parse(link[1])
			if err != nil {
				t.Errorf("%s: link %q: %v", document, link[1], err)
				continue
			}
			if target.Scheme != "" {
				continue // the web is not ours to check
			}
			file := document
			if target.Path != "" {
				file = path.Join(path.Dir(document), target.Path)
			}
			info, err := os.Stat(filepath.Join(root, filepath.FromSlash(file)))
			if err != nil {
				t.Errorf("%s: link %q leads to %s, which is not there", document, link[1], file)
				continue
			}
			if target.Fragment != "" && !info.IsDir() && !slices.Contains(anchors(read(t, file)), target.Fragment) {
				t.Errorf("%s: link %q: %s has no such heading", document, link[1], file)
			}
		}
	}
}

// anchors returns the names under which the headings of a document can be linked to: lower case, spaces
// as hyphens, punctuation dropped.
func anchors(text string) []string {
	var names []string
	for _, match := range heading.FindAllStringSubmatch(codeFence.ReplaceAllString(text, ""), -1) {
		names = append(names, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case strings.ContainsRune("`.,:;!?()/'\"*&+=<>", r):
				return -1
			}
			return r
		}, strings.ToLower(match[1])))
	}
	return names
}

func TestAnchors(t *testing.T) {
	got := anchors("# The `log`, and why\n```\n# not a heading\n```\n## 2. Data directory\n")
	if want := []string{"the-log-and-why", "2-data-directory"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNothingNamesAPersonsMachine(t *testing.T) {
	for _, name := range filesOf(t, "") {
		if name == "LICENSE" || strings.HasSuffix(name, ".sum") {
			continue
		}
		for number, line := range strings.Split(read(t, name), "\n") {
			if found := machinePath.FindString(line); found != "" {
				t.Errorf("%s:%d names a folder of somebody's machine: %s", name, number+1, strings.TrimSpace(line))
			}
		}
	}
}
