package httpapi

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/internal/access"
	"github.com/sixdigit/sixdigit/verify"
)

// domainErrors has one of every exported error of verify, and its problem.
func domainErrors() map[string]struct {
	err    error
	status int
	code   string
} {
	type row = struct {
		err    error
		status int
		code   string
	}
	disk := errors.New("disk")
	return map[string]row{
		"ErrNotFound":     {verify.ErrNotFound, 404, codeNotFound},
		"ErrEnded":        {verify.ErrEnded, 409, codeEnded},
		"ErrInFlight":     {verify.ErrInFlight, 409, codeInFlight},
		"ErrIdemMismatch": {verify.ErrIdemMismatch, 422, codeIdemMismatch},
		"ErrUnavailable":  {verify.ErrUnavailable, 503, codeUnavailable},
		"ErrNoTemplate":   {verify.ErrNoTemplate, 422, codeNoTemplate},
		"LimitError":      {&verify.LimitError{Name: "app_number", RetryAfter: time.Minute}, 429, codeLimit},
		"InvalidError":    {&verify.InvalidError{Field: "to", Code: "use_call", Text: "t"}, 422, "use_call"},
		"RefusedError":    {&verify.RefusedError{Cause: &connector.Error{Kind: connector.KindGeo}}, 422, codeRefused},
		"StoreError":      {&verify.StoreError{Err: disk}, 503, codeUnavailable},
		"RowError":        {&verify.RowError{Err: disk}, 500, codeInternal}, // a row that cannot be read: nobody's request is at fault
	}
}

// parseVerify reads the domain's source files.
func parseVerify(t *testing.T) []*ast.File {
	t.Helper()
	paths, err := filepath.Glob("../../verify/*.go")
	if err != nil || len(paths) == 0 {
		t.Fatal("no source of verify", err)
	}
	var files []*ast.File
	for _, p := range paths {
		if strings.HasSuffix(p, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// TestEveryErrorHasAProblem fails when verify gains an error that the table
// does not know.
func TestEveryErrorHasAProblem(t *testing.T) {
	t.Parallel()
	rows := domainErrors()
	found := map[string]bool{}
	for _, f := range parseVerify(t) {
		for _, d := range f.Decls {
			gen, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range gen.Specs {
				switch s := spec.(type) {
				case *ast.ValueSpec:
					for _, n := range s.Names {
						if gen.Tok == token.VAR && strings.HasPrefix(n.Name, "Err") {
							found[n.Name] = true
						}
					}
				case *ast.TypeSpec:
					if s.Name.IsExported() && strings.HasSuffix(s.Name.Name, "Error") {
						found[s.Name.Name] = true
					}
				}
			}
		}
	}
	delete(found, "ErrLater") // no answer, because another one comes: see TestLater
	for name := range found {
		if _, ok := rows[name]; !ok {
			t.Errorf("verify.%s has no problem", name)
		}
	}
	for name, row := range rows {
		if !found[name] {
			t.Errorf("verify has no %s", name)
		}
		for _, err := range []error{row.err, fmt.Errorf("wrapped: %w", row.err)} {
			p := problemOf(err)
			if p.Status != row.status || p.Code != row.code || p.Detail == "" {
				t.Errorf("%s: %d %s %q, want %d %s", name, p.Status, p.Code, p.Detail, row.status, row.code)
			}
			if strings.Contains(fmt.Sprintf("%+v", p), "app_number") {
				t.Errorf("%s: the problem names the limit", name)
			}
			if wants := row.status == 429 || row.status == 503 || row.code == codeInFlight; (p.RetryAfter > 0) != wants {
				t.Errorf("%s: retry_after %d", name, p.RetryAfter)
			}
		}
	}
}

// TestEveryInvalidCodeIsDocumented finds the codes in verify's literals.
func TestEveryInvalidCodeIsDocumented(t *testing.T) {
	t.Parallel()
	codes := map[string]bool{}
	for _, f := range parseVerify(t) {
		ast.Inspect(f, func(n ast.Node) bool {
			lit, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			if id, ok := lit.Type.(*ast.Ident); !ok || id.Name != "InvalidError" {
				return true
			}
			for i, e := range lit.Elts {
				if kv, ok := e.(*ast.KeyValueExpr); ok {
					if kv.Key.(*ast.Ident).Name != "Code" {
						continue
					}
					e, i = kv.Value, 1
				}
				if s, ok := e.(*ast.BasicLit); ok && i == 1 {
					code, _ := strconv.Unquote(s.Value)
					codes[code] = true
				}
			}
			return true
		})
	}
	if len(codes) < 10 {
		t.Fatalf("only %d codes found", len(codes))
	}
	for code := range codes {
		if f := faultOf(code); f.status != http.StatusUnprocessableEntity {
			t.Errorf("%s is not in the table with 422", code)
		}
		if !slices.Contains(append(policyFaults(), messageFaults()...), code) {
			t.Errorf("the document lists %s for no operation", code)
		}
	}
}

// Only a refusal that is about the number may read as if it were.
func TestRefusalDetail(t *testing.T) {
	t.Parallel()
	for kind, ours := range map[connector.Kind]bool{
		connector.KindAuth: true, connector.KindAccount: true, connector.KindSender: true,
		connector.KindGeo: false, connector.KindInvalidRecipient: false, connector.KindOptedOut: false, connector.KindUnclassified: false,
	} {
		p := problemOf(&verify.RefusedError{Cause: &connector.Error{Kind: kind}})
		if p.Code != codeRefused || strings.Contains(p.Detail, "the number is not at fault") != ours {
			t.Errorf("%s: %s, %q", kind, p.Code, p.Detail)
		}
	}
}

func TestOtherErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		code string
	}{
		{access.ErrUnknownKey, codeUnauthorized},
		{access.ErrRevoked, codeUnauthorized},
		{access.ErrExpired, codeUnauthorized},
		{access.ErrBusy, codeUnavailable},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), codeUnavailable},
		{context.Canceled, codeClosed},
		{errors.New("anything"), codeInternal},
		{faultError{code: "a code that nobody wrote down"}, codeInternal},
	} {
		if p := problemOf(tt.err); p.Code != tt.code {
			t.Errorf("%v: %s, want %s", tt.err, p.Code, tt.code)
		}
	}
	if p := problemOf(&verify.LimitError{}); p.RetryAfter != 1 {
		t.Errorf("a limit without a wait: retry_after %d", p.RetryAfter)
	}
}

func TestFaultTable(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	last := 0
	for _, f := range faultTable() {
		if seen[f.code] || f.status < last || !strings.HasSuffix(f.detail, ".") {
			t.Errorf("%+v stands twice, out of order or without a sentence", f)
		}
		seen[f.code], last = true, f.status
	}
}
