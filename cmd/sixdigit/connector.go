package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/internal/app"
)

type connectorCmd struct {
	Check  checkCmd  `cmd:"" help:"Check a connector JSON offline: every fault and warning, and what each template costs."`
	Send   sendCmd   `cmd:"" help:"Send one text straight through the connector."`
	Schema schemaCmd `cmd:"" help:"Print the JSON Schema of the connector JSON, for editors."`
}

type checkCmd struct {
	File string `arg:"" help:"The connector JSON; - reads standard input."`
	JSON bool   `name:"json" help:"Print one JSON document."`
}

func (checkCmd) Help() string {
	return `Examples:
  sixdigit connector check twilio.json
  sixdigit connector check twilio.json --json | jq .faults

Exit status: 0 no faults (there may be warnings), 2 faults.`
}

func (c checkCmd) Run(s streams) error {
	_, report := app.ReadConnector(c.File, s.in)
	if c.JSON {
		if err := writeJSON(s.out, report); err != nil {
			return err
		}
	} else {
		writeReport(s.out, c.File, report)
	}
	if !report.OK {
		return &exitError{status: exitUsage}
	}
	return nil
}

func writeFaults(w io.Writer, r app.Report) {
	for _, f := range r.Faults {
		_, _ = fmt.Fprintf(w, "fault    %s %s\n         %s\n", place(f.Path), f.Message, f.Fix)
	}
}

func writeReport(w io.Writer, file string, r app.Report) {
	if file == "-" {
		file = "standard input"
	}
	writeFaults(w, r)
	for _, warn := range r.Warnings {
		_, _ = fmt.Fprintf(w, "warning  %s %s\n", place(warn.Path), warn.Message)
	}
	for _, t := range r.Templates {
		name := string(t.Usage)
		if t.Locale != "" {
			name += " (" + t.Locale + ")"
		}
		_, _ = fmt.Fprintf(w, "template %s: %s, %s, %s\n", name, t.Encoding, count(t.Units, "unit"), count(t.Segments, "segment"))
	}
	if r.OK {
		_, _ = fmt.Fprintf(w, "%s is good: %s, %s\n", file, count(len(r.Templates), "template"), count(len(r.Warnings), "warning"))
		return
	}
	_, _ = fmt.Fprintf(w, "%s cannot be used: %s, %s\n", file, count(len(r.Faults), "fault"), count(len(r.Warnings), "warning"))
}

func place(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

func count(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

type sendCmd struct {
	File   string `arg:"" help:"The connector JSON; - reads standard input."`
	To     string `required:"" placeholder:"+1…" help:"The number, in E.164 form: + and the country calling code first."`
	Usage  string `default:"Test" help:"The usage type whose template is sent."`
	Code   string `placeholder:"123456" help:"The code; a random one of six digits by default."`
	Locale string `placeholder:"en" help:"The person's language, a BCP 47 tag."`
	JSON   bool   `name:"json" help:"Print one JSON document."`
}

func (sendCmd) Help() string {
	return `One message is sent and billed. It is never sent twice: where the answer is
lost, the command says that the text may be on its way.

Examples:
  sixdigit connector send twilio.json --to +14155550134
  sixdigit connector send twilio.json --to +4915112345678 --usage SignIn --locale de --json

Exit status: 0 Twilio took the text, 1 it did not or nobody can tell, 2 the file
or the command line is wrong and nothing was sent.`
}

func (c sendCmd) Run(ctx context.Context, s streams) error {
	sent, report, err := app.Send(ctx, c.File, s.in, app.SendRequest{To: c.To, Usage: c.Usage, Locale: c.Locale, Code: c.Code})
	if !report.OK {
		return c.refuse(s, report)
	}
	for _, w := range report.Warnings {
		if w.Path == "" { // about the file itself; what check says of its fields is said there
			_, _ = fmt.Fprintf(s.err, "warning: %s %s\n", place(w.Path), w.Message)
		}
	}
	if err != nil {
		return c.failed(s, err)
	}
	if c.JSON {
		return writeJSON(s.out, sent)
	}
	_, err = fmt.Fprintf(s.out, "%s to %s as %s, %s\n", sent.Status, sent.To, sent.ProviderID, count(sent.Segments, "segment"))
	return err
}

func (c sendCmd) refuse(s streams, report app.Report) error {
	if c.JSON {
		if err := writeJSON(s.out, report); err != nil {
			return err
		}
	} else {
		writeFaults(s.err, report)
	}
	return &exitError{exitUsage, errors.New("nothing was sent")}
}

// failure is what `connector send --json` prints when the text was not taken.
type failure struct {
	Error failureBody `json:"error"`
}

type failureBody struct {
	Kind         connector.Kind    `json:"kind"`
	ProviderCode string            `json:"provider_code"`
	Message      string            `json:"message"`
	Advice       string            `json:"advice"`      // in English
	AdviceKey    connector.Advice  `json:"advice_key"`  // for translations
	RetryAfter   int               `json:"retry_after"` // seconds; 0 when the provider did not say
	Outcome      connector.Outcome `json:"outcome"`
	Actions      []string          `json:"actions"`
}

func (c sendCmd) failed(s streams, err error) error {
	var e *connector.Error
	if !errors.As(err, &e) {
		return err
	}
	if c.JSON {
		body := failureBody{
			Kind: e.Kind, ProviderCode: e.ProviderCode, Message: e.Error(),
			Advice: e.Advice.Text(e.RetryAfter), AdviceKey: e.Advice,
			RetryAfter: int((e.RetryAfter + time.Second - 1) / time.Second),
			Outcome:    e.Outcome, Actions: strings.FieldsFunc(e.Actions.String(), func(r rune) bool { return r == ',' }),
		}
		if err := writeJSON(s.out, failure{body}); err != nil {
			return err
		}
	}
	hint := "nothing was sent"
	if e.Outcome == connector.OutcomeMaybe {
		hint = "the text may be on its way; look at the phone before you send another"
	}
	return fmt.Errorf("%w\n  for the person: %s\n  %s", e, e.Advice.Text(e.RetryAfter), hint)
}

type schemaCmd struct{}

func (schemaCmd) Help() string {
	return `Example:
  sixdigit connector schema > connector.schema.json
then name it in the connector JSON: "$schema": "./connector.schema.json"`
}

func (schemaCmd) Run(s streams) error {
	schema, err := app.ConnectorSchema()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s\n", schema)
	return err
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
