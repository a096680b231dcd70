package app

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sixdigit/sixdigit/secret"
	"github.com/sixdigit/sixdigit/verify"
)

// KeyEnv names the environment variable that holds the server's keys, for those
// who keep them elsewhere than in a file.
const KeyEnv = "SIXDIGIT_SERVER_KEY"

// keyFile is the key's place in the data folder: a folder of its own, so that a
// backup that copies the database does not copy the key beside it.
func keyFile(data string) string { return filepath.Join(data, "key", "server.key") }

// serverKeys returns the keyring: from the environment, or from the key file,
// which is made on the first start. Each line is a key, ID:BASE64; the first
// makes new codes, the others still check old ones.
func serverKeys(data string, getenv func(string) string) (ring *verify.Keyring, made bool, err error) {
	text := getenv(KeyEnv)
	if text == "" {
		if text, made, err = readOrMakeKey(keyFile(data)); err != nil {
			return nil, false, err
		}
	}
	ring, err = parseKeys(text)
	return ring, made && err == nil, err
}

// sharedKeys is serverKeys for a store that others share. One who made a key of
// their own could check nobody else's codes, so none is made.
func sharedKeys(data string, getenv func(string) string) (*verify.Keyring, error) {
	ring, err := givenKeys(data, getenv)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &ConfigError{fmt.Errorf("server key: all replicas on one database need the same one, and there is none here; set %s, or put it into %s.\n"+
			"    A new one is the line that this prints: echo \"k1:$(openssl rand -base64 32)\"", KeyEnv, keyFile(data))}
	}
	return ring, err
}

// givenKeys is the keyring from the environment or the key file; no key is made.
// Where there is none the error is fs.ErrNotExist.
func givenKeys(data string, getenv func(string) string) (*verify.Keyring, error) {
	text := getenv(KeyEnv)
	if text == "" {
		read, err := os.ReadFile(keyFile(data)) // #nosec G304 -- in the data folder
		if err != nil {
			return nil, fmt.Errorf("read the server key: %w", err)
		}
		text = string(read)
	}
	return parseKeys(text)
}

func parseKeys(text string) (*verify.Keyring, error) {
	var keys []verify.ServerKey
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\n' || r == ',' || r == '\r' }) {
		id, encoded, ok := strings.Cut(strings.TrimSpace(line), ":")
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || err != nil {
			return nil, &ConfigError{errors.New("the server key is not of the form ID:BASE64, one key a line")}
		}
		keys = append(keys, verify.ServerKey{ID: id, Secret: secret.New(string(raw))})
	}
	ring, err := verify.NewKeyring(keys...)
	if err != nil {
		return nil, &ConfigError{err}
	}
	return ring, nil
}

func readOrMakeKey(path string) (text string, made bool, err error) {
	data, err := os.ReadFile(path) // #nosec G304 -- in the data folder
	switch {
	case err == nil:
		return string(data), false, nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", false, fmt.Errorf("read the server key: %w", err)
	}
	// The id is random too: codes of a lost key are then known to be lost, and
	// not compared with what another key makes of them.
	var raw [verify.KeySize]byte
	var id [4]byte
	_, _ = rand.Read(raw[:]) // never fails
	_, _ = rand.Read(id[:])
	text = fmt.Sprintf("k%x:%s\n", id, base64.StdEncoding.EncodeToString(raw[:]))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", false, fmt.Errorf("make the key's folder: %w", err)
	}
	// A crash half-way must not leave half a key, and two processes that start
	// at once must not end with two: link fails where the name is taken.
	tmp, err := os.CreateTemp(filepath.Dir(path), ".server.key-*")
	if err != nil {
		return "", false, fmt.Errorf("make the server key: %w", err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, werr := tmp.WriteString(text)
	if err := errors.Join(werr, tmp.Sync(), tmp.Close()); err != nil {
		return "", false, fmt.Errorf("write the server key: %w", err)
	}
	if err := os.Link(tmp.Name(), path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			data, err := os.ReadFile(path) // #nosec G304 -- in the data folder
			return string(data), false, err
		}
		return "", false, fmt.Errorf("keep the server key: %w", err)
	}
	return text, true, syncFolder(filepath.Dir(path))
}

func syncFolder(dir string) error {
	d, err := os.Open(dir) // #nosec G304 -- in the data folder
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
