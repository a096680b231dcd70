package verify

import (
	"errors"
	"sync"
	"time"
)

// answerSoon is how long a call waits for the provider before it looks for
// somebody to wait in its place. A provider that is well has answered by then.
const answerSoon = time.Second

// ErrLater is what a call returns whose answer Later has taken over.
var ErrLater = errors.New("verify: the answer comes later")

// Later takes the answer of a call over, so that a caller need not keep a
// goroutine waiting while a provider takes its time. It is asked once, by the
// call itself, after a second. The function that it returns is called once, with
// what the call would have returned, while the call returns ErrLater; nil leaves
// the call as it is.
type Later func() (answer func(Started, error))

// handover brings a send's outcome to whoever waits for it: the call, or who
// took it over. What comes first, outcome or end of the patience, is told.
type handover struct {
	st   Started       // what is known while the send is under way
	told chan struct{} // closed when got and err are what the call comes to
	got  Started
	err  error

	mu     sync.Mutex
	over   bool
	answer func(Started, error) // of who took the call over, or nil
}

// tell answers, unless somebody has.
func (h *handover) tell(st Started, err error) {
	h.mu.Lock()
	if h.over {
		h.mu.Unlock()
		return
	}
	h.over, h.got, h.err = true, st, err
	answer := h.answer
	h.mu.Unlock()
	close(h.told)
	if answer != nil {
		answer(st, err)
	}
}

// pass has answer called in the call's place, at the latest after the patience.
// It reports false when the call has been answered meanwhile.
func (h *handover) pass(answer func(Started, error), patience time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return false
	}
	timer := time.AfterFunc(patience, func() { h.tell(h.unknown()) })
	h.answer = func(st Started, err error) {
		timer.Stop()
		answer(st, err)
	}
	return true
}

func (h *handover) result(r recorded) (Started, error) {
	if r.v == nil {
		return h.unknown()
	}
	st := h.st
	st.Verification, st.Now = r.v, r.now
	return answer(st, r.send, r.cause)
}

func (h *handover) unknown() (Started, error) {
	st := h.st
	st.Sent, st.Unknown = true, true
	return st, nil
}
