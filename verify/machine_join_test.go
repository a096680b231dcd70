package verify

import (
	"context"
	"net/netip"

	"pgregory.net/rapid"

	"github.com/sixdigit/sixdigit/phone"
)

const modelService = "VA1"

// join drives a start by number. To the model it is a session of its own, with no
// wait between texts.
func (m *model) join(t *rapid.T) {
	number := rapid.SampledFrom([]string{"+14155552671", "+12125550123"}).Draw(t, "number")
	ip := rapid.SampledFrom([]string{"203.0.113.1", "203.0.113.2", ""}).Draw(t, "ip")
	to, err := phone.Parse(number)
	if err != nil {
		t.Fatal(err)
	}
	r := JoinRequest{App: testApp, Service: modelService, To: to, Usage: "SignIn"}
	if ip != "" {
		r.ClientIP = netip.MustParseAddr(ip)
	}
	m.outcome = drawOutcome(t)
	st, err := m.b.Join(context.Background(), r)
	v := m.find(number, modelService)
	if v != nil && ip == "" {
		ip = v.ip
	}
	keys := m.limits(number, ip)
	switch blocked := m.subject(number).until.Sub(m.now); {
	case blocked > 0:
		wantWait(t, "join while blocked", err, blocked)
		return
	case v != nil && !m.mayResend(v):
		wantWait(t, "join without sends", err, v.expires.Sub(m.now))
		return
	}
	if wait := m.take(keys); wait > 0 {
		wantWait(t, "join", err, wait)
		return
	}
	if st.Verification == nil || v != nil && v.id != st.Verification.ID {
		t.Fatalf("join: %+v, %v", st, err)
	}
	if v != nil {
		m.again(v, keys)
	} else {
		v = &modelVerification{
			id: st.Verification.ID, number: number, session: modelService, ip: ip, status: StatusPending,
			expires: m.now.Add(m.p.Life), generation: 1, codes: []string{""},
		}
		m.list = append(m.list, v)
		m.text(v, keys)
	}
	m.sent(t, "join", st, err, v)
	m.same(t, "join", st.Verification, v)
	found, _, err := m.b.FindAt(context.Background(), Handle{App: testApp, Service: modelService, To: to})
	if err != nil || found.ID != v.id {
		t.Fatalf("join: the number leads to %v, %v", found, err)
	}
}

func (m *model) approve(t *rapid.T) {
	v := m.pick(t)
	service := ""
	if v.session == modelService {
		service = modelService
	}
	ended, err := m.b.ApproveAt(context.Background(), Handle{App: testApp, Service: service, ID: v.id})
	if err != nil {
		t.Fatal(err)
	}
	pending := v.at(m.now) == StatusPending
	if ended.Changed != pending {
		t.Fatalf("approve: changed is %t, was pending %t", ended.Changed, pending)
	}
	if pending {
		v.status = StatusApproved
		*m.subject(v.number) = modelSubject{}
	}
	m.same(t, "approve", ended.Verification, v)
}
