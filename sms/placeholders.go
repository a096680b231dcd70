package sms

import "slices"

// Placeholders returns the paths of content's placeholders, each once, in order
// of appearance.
func Placeholders(content string) []string {
	var paths []string
	for _, end, path := nextPlaceholder(content, 0); path != ""; _, end, path = nextPlaceholder(content, end) {
		if !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths
}
