package edge

import (
	"net/http"
	"time"
)

// recorder remembers the status and turns the plain answers of a ServeMux that
// found no route into problems.
type recorder struct {
	http.ResponseWriter
	request *http.Request
	status  int
	mute    bool // the body that follows was replaced by a problem
	torn    bool // a panic came after the answer had begun

	// For Detach, and what it came to.
	wrapper  *wrapper
	state    *state
	began    time.Time
	detached *Detached
}

// WriteHeader notes the status.
func (w *recorder) WriteHeader(status int) {
	if w.status != 0 {
		return // net/http would log the caller's mistake and do the same
	}
	if status >= 100 && status < 200 {
		w.ResponseWriter.WriteHeader(status) // an interim answer; the real one follows
		return
	}
	if w.request.Pattern == "" && w.Header().Get("Content-Type") != ProblemType {
		switch status {
		case http.StatusNotFound:
			notFound().Write(w, w.request)
			w.mute = true
			return
		case http.StatusMethodNotAllowed: // ServeMux has set Allow
			Problem{Status: status, Code: "method_not_allowed", Detail: "The path exists; Allow lists its methods."}.Write(w, w.request)
			w.mute = true
			return
		}
	}
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Write writes a part of the body.
func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.mute {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController find what the recorder does not offer,
// Flush among it.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
