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
)

// maxConnectorFile bounds what is read of a file; the loader's own bound, which
// gives the better message, is below it.
const maxConnectorFile = 2 << 20

// Report is what `connector check` says of a file.
type Report struct {
	OK        bool                       `json:"ok"`
	Faults    []connector.Fault          `json:"faults"`
	Warnings  []connector.Warning        `json:"warnings"`
	Templates []connector.TemplateReport `json:"templates"`
}

// ReadConnector reads and checks a connector file. The Config is usable when
// the report is OK. stdin stands for the file "-".
func ReadConnector(path string, stdin io.Reader) (twilio.Config, Report) {
	data, warnings, err := readConnectorFile(path, stdin)
	if err != nil {
		return twilio.Config{}, Fault("", "cannot be read: "+err.Error(), "name a connector JSON that this user may read")
	}
	c, more, err := twilio.ReadConfig(data)
	r := Report{
		OK:        err == nil,
		Faults:    []connector.Fault{},
		Warnings:  append(append([]connector.Warning{}, warnings...), more...),
		Templates: connector.ReportTemplates(c.Templates, c.SmartEncoded),
	}
	var faults *connector.ConfigError
	if errors.As(err, &faults) {
		r.Faults = faults.Faults
	}
	return c, r
}

// Fault is the report of one fault found before or beside the file.
func Fault(path, message, fix string) Report {
	return Report{
		Faults:    []connector.Fault{{Path: path, Message: message, Fix: fix}},
		Warnings:  []connector.Warning{},
		Templates: []connector.TemplateReport{},
	}
}

func readConnectorFile(path string, stdin io.Reader) ([]byte, []connector.Warning, error) {
	if path == "-" {
		data, err := io.ReadAll(io.LimitReader(stdin, maxConnectorFile))
		return data, nil, err
	}
	f, err := os.Open(path) // #nosec G304 -- the operator names the file
	if err != nil {
		return nil, nil, cause(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, nil, cause(err)
	case info.IsDir():
		return nil, nil, errors.New("it is a folder")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxConnectorFile))
	if err != nil {
		return nil, nil, cause(err)
	}
	var warnings []connector.Warning
	if othersRead(info.Mode()) {
		warnings = append(warnings, connector.Warning{
			Message: fmt.Sprintf("can be read by every user of this machine (mode %04o), and so can the auth token in it; run chmod 600 on it", info.Mode().Perm()),
		})
	}
	return data, warnings, nil
}

// othersRead reports whether users outside the file's group may read it.
// Windows keeps no such bit: what Go shows there is made up.
func othersRead(mode fs.FileMode) bool {
	return runtime.GOOS != "windows" && mode.IsRegular() && mode.Perm()&0o004 != 0
}

// cause drops operation and path, which the message around it names.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
