package interop

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sixdigit/sixdigit/connector"
	"github.com/sixdigit/sixdigit/connector/twilio"
)

// answered has both send to a server that answers with handler, and returns
// what each says and how many requests each made.
type answered struct {
	theirs                     refusal
	theirErr                   error
	ours                       *connector.Error
	theirRequests, ourRequests int32
}

func answer(t *testing.T, r *referee, handler http.HandlerFunc) answered {
	t.Helper()
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		requests.Add(1)
		handler(w, q)
	}))
	defer server.Close()
	var a answered
	a.theirs, a.theirErr = sendTheirs(r, config(nil), server.URL)
	a.theirRequests = requests.Swap(0)
	if err := sendOurs(t, config(nil), server.URL, twilio.Options{}, false); err != nil && !errors.As(err, &a.ours) {
		t.Fatalf("ours: %v", err)
	}
	a.ourRequests = requests.Load()
	return a
}

// answers are the differences in how the two read an answer.
func answers() map[string]func(*testing.T, *referee) {
	return map[string]func(*testing.T, *referee){
		"redirect": func(t *testing.T, r *referee) {
			a := answer(t, r, func(w http.ResponseWriter, q *http.Request) {
				if q.URL.Path != "/elsewhere" {
					http.Redirect(w, q, "/elsewhere", http.StatusTemporaryRedirect)
					return
				}
				w.WriteHeader(http.StatusCreated)
			})
			if a.theirErr != nil || a.theirs.Code != "" || a.theirRequests != 2 {
				t.Errorf("theirs: %+v", a)
			}
			if a.ours == nil || a.ours.Outcome != connector.OutcomeMaybe || a.ourRequests != 1 {
				t.Errorf("ours: %+v", a)
			}
		},
		"success-without-message": func(t *testing.T, r *referee) {
			a := answer(t, r, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<p>Please sign in to the Wi-Fi.</p>") })
			if a.theirErr != nil || a.theirs.Code != "" {
				t.Errorf("theirs: %+v", a)
			}
			if a.ours == nil || a.ours.Outcome != connector.OutcomeMaybe {
				t.Errorf("ours: %+v", a)
			}
		},
		"failed-at-once": func(t *testing.T, r *referee) {
			a := answer(t, r, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusCreated)
				fmt.Fprintf(w, `{"sid":"SM%032d","account_sid":%q,"status":"failed","error_code":30002}`, 0, accountSID)
			})
			if a.theirErr != nil || a.theirs.Code != "" {
				t.Errorf("theirs: %+v", a)
			}
			if a.ours == nil || a.ours.Kind != connector.KindAccount || a.ours.ProviderCode != "30002" {
				t.Errorf("ours: %+v", a)
			}
		},
		"server-error": func(t *testing.T, r *referee) {
			a := answer(t, r, func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, `{"code":20500}`, http.StatusInternalServerError)
			})
			if a.theirs.Code != "general" || a.theirRequests != 1 {
				t.Errorf("theirs: %+v", a)
			}
			if a.ours == nil || a.ours.Kind != connector.KindTemporary || a.ours.Outcome != connector.OutcomeMaybe || a.ourRequests != 1 {
				t.Errorf("ours: %+v", a)
			}
		},
		"too-many-requests": func(t *testing.T, r *referee) {
			a := answer(t, r, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "7")
				http.Error(w, `{"code":20429,"message":"Too Many Requests","status":429}`, http.StatusTooManyRequests)
			})
			if a.theirs.Code != "general" || a.theirRequests != 1 {
				t.Errorf("theirs: %+v", a)
			}
			if a.ours == nil || a.ours.Kind != connector.KindThrottled || a.ours.Outcome != connector.OutcomeNotProcessed || a.ours.RetryAfter != 7*time.Second {
				t.Errorf("ours: %+v", a)
			}
		},
		"error-words": func(t *testing.T, r *referee) {
			const words = "The number +4512345678 is unverified."
			a := answer(t, r, func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, `{"code":21608,"message":"`+words+`","status":400}`, http.StatusBadRequest)
			})
			if a.theirs.Code != "general" || !strings.Contains(a.theirs.Message, words) {
				t.Errorf("theirs: %+v", a)
			}
			if a.ours == nil || a.ours.ProviderCode != "21608" || a.ours.Kind != connector.KindAccount || strings.Contains(a.ours.Error(), someone) {
				t.Errorf("ours: %+v", a)
			}
		},
		"time-out": func(t *testing.T, r *referee) {
			arrived, release := make(chan struct{}, 2), make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				arrived <- struct{}{}
				<-release
				w.WriteHeader(http.StatusCreated)
			}))
			defer server.Close()
			answered := make(chan error, 1)
			go func() {
				refused, err := sendTheirs(r, config(nil), server.URL)
				if refused.Code != "" {
					err = errors.New(refused.Code)
				}
				answered <- err
			}()
			select {
			case <-arrived:
			case err := <-answered:
				t.Fatalf("theirs sent nothing: %v", err)
			}
			err := sendOurs(t, config(nil), server.URL, twilio.Options{Timeout: time.Second}, false)
			var e *connector.Error
			if !errors.As(err, &e) || e.Outcome != connector.OutcomeMaybe || e.Kind != connector.KindTemporary {
				t.Errorf("ours: %v", err)
			}
			select {
			case err := <-answered:
				t.Errorf("theirs did not wait: %v", err)
			default:
			}
			close(release)
			if err := <-answered; err != nil {
				t.Errorf("theirs waited, and then: %v", err)
			}
		},
	}
}

// TestDifferencesInAnswers shows how each reads an answer that is no plain yes.
func TestDifferencesInAnswers(t *testing.T) {
	t.Parallel()
	r := startReferee(t)
	for _, name := range slices.Sorted(maps.Keys(answers())) {
		t.Run(name, func(t *testing.T) { answers()[name](t, r) })
	}
}
