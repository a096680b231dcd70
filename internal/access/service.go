package access

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Service is a set of an app's verifications with settings of its own, as Twilio
// Verify has them. An app has one from the start (DefaultService), which is kept
// only once it is changed.
type Service struct {
	SID        string    `json:"-"` // VA and 32 hexadecimal digits
	App        string    `json:"app"`
	Name       string    `json:"name"` // what texts call it, {{friendly_name}}
	CodeLength int       `json:"code_length"`
	CustomCode bool      `json:"custom_code,omitempty"` // callers may make the codes
	CreatedAt  time.Time `json:"created"`
	UpdatedAt  time.Time `json:"updated"`
}

// ErrNoService is a ServiceStore's answer for a sid that it does not hold.
var ErrNoService = errors.New("access: no such service")

// ServiceStore keeps services. Times come back in UTC, in whole microseconds.
type ServiceStore interface {
	// SaveService adds a service or replaces it.
	SaveService(ctx context.Context, s Service) error
	// Service returns a service, or ErrNoService.
	Service(ctx context.Context, sid string) (Service, error)
	// Services returns an app's services, the oldest first.
	Services(ctx context.Context, app string) ([]Service, error)
}

// ServicePrefix is what a service's sid begins with.
const ServicePrefix = "VA"

// DefaultServiceSID is the sid of the service that an app has from the start.
func DefaultServiceSID(app string) string { return derivedSID(ServicePrefix, "service", app) }

var _ ServiceStore = (*Memory)(nil)

// services are a Memory's.
type services struct {
	mu   sync.Mutex
	kept map[string]Service
}

// SaveService implements ServiceStore.
func (m *Memory) SaveService(_ context.Context, s Service) error {
	m.services.mu.Lock()
	defer m.services.mu.Unlock()
	if m.services.kept == nil {
		m.services.kept = map[string]Service{}
	}
	s.CreatedAt, s.UpdatedAt = s.CreatedAt.UTC().Truncate(time.Microsecond), s.UpdatedAt.UTC().Truncate(time.Microsecond)
	m.services.kept[s.SID] = s
	return nil
}

// Service implements ServiceStore.
func (m *Memory) Service(_ context.Context, sid string) (Service, error) {
	m.services.mu.Lock()
	defer m.services.mu.Unlock()
	s, ok := m.services.kept[sid]
	if !ok {
		return Service{}, ErrNoService
	}
	return s, nil
}

// Services implements ServiceStore.
func (m *Memory) Services(_ context.Context, app string) ([]Service, error) {
	m.services.mu.Lock()
	defer m.services.mu.Unlock()
	var all []Service
	for _, s := range m.services.kept {
		if s.App == app {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b Service) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.SID, b.SID))
	})
	return all, nil
}
