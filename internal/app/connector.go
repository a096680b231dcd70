package app

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/connector/twilio"
	"github.com/sixdigit/sixdigit/internal/connectorjson"
)

// maxConnectorFile bounds what is read of a file; the loader's own bound, which
// gives the better message, is below it.
const maxConnectorFile = 2 << 20

// Report is what `connector check` says of a file.
type Report struct {
	OK        bool                   `json:"ok"`
	Faults    []connector.Fault      `json:"faults"`
	Warnings  []connector.Warning    `json:"warnings"`
	Templates []connectorjson.Report `json:"templates"`
}

// ReadConnector reads and checks a connector file. The Config is usable when
// the report is OK. stdin stands for the file "-"; with a nil stdin "-" is a
// file like any other.
func ReadConnector(path string, stdin io.Reader) (twilio.Config, Report) {
	data, mode, err := readConnectorFile(path, stdin)
	if err != nil {
		return twilio.Config{}, Report{
			Faults:    []connector.Fault{{Message: "cannot be read: " + err.Error(), Fix: "name a connector JSON that this user may read"}},
			Warnings:  []connector.Warning{},
			Templates: []connectorjson.Report{},
		}
	}
	c, more, err := twilio.ReadConfig(data)
	r := Report{
		OK:        err == nil,
		Faults:    []connector.Fault{},
		Warnings:  append(modeWarnings(mode, loopbackURL(c.BaseURL)), more...),
		Templates: connectorjson.Reports(c.Templates, c.SmartEncoded),
	}
	var faults *connector.ConfigError
	if errors.As(err, &faults) {
		r.Faults = faults.Faults
	}
	return c, r
}

// ConnectorSchema is the JSON Schema of the connector JSON.
func ConnectorSchema() ([]byte, error) { return twilio.Schema() }

// readConnectorFile reads a file, and its mode where it is one.
func readConnectorFile(path string, stdin io.Reader) ([]byte, fs.FileMode, error) {
	if path == "-" && stdin != nil {
		data, err := io.ReadAll(io.LimitReader(stdin, maxConnectorFile))
		return data, fs.ModeIrregular, err
	}
	f, err := os.Open(path) // #nosec G304 -- the operator names the file
	if err != nil {
		return nil, 0, cause(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, 0, cause(err)
	case info.IsDir():
		return nil, 0, errors.New("it is a folder")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxConnectorFile))
	if err != nil {
		return nil, 0, cause(err)
	}
	return data, info.Mode(), nil
}

// modeWarnings are about users outside the file's owner and group: a group is
// given on purpose, to let a service read the file. Windows keeps no such bits:
// what Go shows there is made up. The token of a simulated Twilio is no secret.
func modeWarnings(mode fs.FileMode, simulated bool) []connector.Warning {
	warnings := []connector.Warning{}
	if runtime.GOOS == "windows" || !mode.IsRegular() {
		return warnings
	}
	for _, w := range []struct {
		bit  fs.FileMode
		text string
	}{
		{0o004, "can be read by every user of this machine (mode %04o), and so can the auth token in it; run chmod 600 on it"},
		{0o002, "can be written by every user of this machine (mode %04o), who may have the auth token sent elsewhere; run chmod 600 on it"},
	} {
		if simulated && w.bit == 0o004 {
			continue
		}
		if mode.Perm()&w.bit != 0 {
			warnings = append(warnings, connector.Warning{Message: fmt.Sprintf(w.text, mode.Perm())})
		}
	}
	return warnings
}

// cause drops operation and path, which the message around it names.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
