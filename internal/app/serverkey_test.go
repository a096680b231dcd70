package app

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

// A key in the wrong place is a fault, and is not shown.
func TestServerKeyFaultsShowNoKey(t *testing.T) {
	t.Parallel()
	key := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
	for _, text := range []string{key + ":main", "main:" + key[:20], key, ":" + key, "a:" + key + "\na:" + key, "main:" + key + "=", strings.Repeat("x", 40) + ":" + key} {
		_, _, err := serverKeys(t.TempDir(), func(string) string { return text })
		var fault *ConfigError
		if !errors.As(err, &fault) || strings.Contains(err.Error(), key[:10]) {
			t.Errorf("%q: %v", text, err)
		}
	}
	dir := t.TempDir()
	none := func(string) string { return "" }
	first, made, err := serverKeys(dir, none)
	if err != nil || !made {
		t.Fatal(err)
	}
	if again, made, err := serverKeys(dir, none); err != nil || made || again.CurrentID() != first.CurrentID() {
		t.Errorf("the second start: %v, made %v", err, made)
	}
}
