package twiliosim_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	api "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/sixdigit/sixdigit/twiliosim"
)

type listParams = api.ListMessageParams

// TestSDKListFilters sends five texts to two people from two senders and lists
// them through every filter.
func TestSDKListFilters(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{})
	type sent struct{ name, to, from string }
	texts := []sent{
		{"a", person, simNumber}, {"b", otherPerson, simNumber}, {"c", person, testSender}, {"d", person, simNumber}, {"e", otherPerson, testSender},
	}
	names := map[string]string{}
	var last *api.ApiV2010Message
	for _, s := range texts {
		m := ok[*api.ApiV2010Message](t)(r.api.CreateMessage((&api.CreateMessageParams{}).SetTo(s.to).SetFrom(s.from).SetBody(s.name)))
		names[val(m.Sid)] = s.name
	}
	for sid := range names {
		last = r.reaches(t, sid, "delivered")
	}
	at := ok[time.Time](t)(time.Parse(time.RFC1123Z, val(last.DateSent)))
	day := at.Truncate(24 * time.Hour)
	const oneDay = 24 * time.Hour

	for _, tt := range []struct {
		name   string
		params *listParams
		want   string
	}{
		{"no filter", nil, "edcba"},
		{"To", (&listParams{}).SetTo(person), "dca"},
		{"From", (&listParams{}).SetFrom(testSender), "ec"},
		{"To and From", (&listParams{}).SetTo(person).SetFrom(simNumber), "da"},
		{"To nobody", (&listParams{}).SetTo("+14155550199"), ""},
		{"DateSent", (&listParams{}).SetDateSent(day), "edcba"},
		{"DateSent, the day before", (&listParams{}).SetDateSent(day.Add(-oneDay)), ""},
		{"DateSent, the day after", (&listParams{}).SetDateSent(day.Add(oneDay)), ""},
		{"DateSent<", (&listParams{}).SetDateSentBefore(day.Add(oneDay)), "edcba"},
		{"DateSent<, too early", (&listParams{}).SetDateSentBefore(day.Add(-oneDay)), ""},
		{"DateSent>", (&listParams{}).SetDateSentAfter(day), "edcba"},
		{"DateSent>, a minute ago", (&listParams{}).SetDateSentAfter(at.Add(-time.Minute)), "edcba"},
		{"DateSent>, too late", (&listParams{}).SetDateSentAfter(day.Add(oneDay)), ""},
		{"a range and To", (&listParams{}).SetTo(otherPerson).SetDateSentAfter(day.Add(-oneDay)).SetDateSentBefore(day.Add(oneDay)), "eb"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			for _, m := range ok[[]api.ApiV2010Message](t)(r.api.ListMessage(tt.params)) {
				got += names[val(m.Sid)]
			}
			if got != tt.want {
				t.Errorf("listed %q, want %q, newest first", got, tt.want)
			}
		})
	}
}

// TestSDKListPages walks through pages of every size, and through pages to
// which texts are added meanwhile.
func TestSDKListPages(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{})
	var sids []string
	const all = 7
	send := func(to string) string {
		return val(ok[*api.ApiV2010Message](t)(r.api.CreateMessage(text(to, "Your code is 123456."))).Sid)
	}
	for range all {
		sids = append(sids, send(person))
		send(otherPerson)
	}
	slices.Reverse(sids)
	listed := func(p *listParams) []string {
		var got []string
		for _, m := range ok[[]api.ApiV2010Message](t)(r.api.ListMessage(p)) {
			got = append(got, val(m.Sid))
		}
		return got
	}
	for size := 1; size <= all+1; size++ {
		if got := listed((&listParams{}).SetTo(person).SetPageSize(size)); !slices.Equal(got, sids) {
			t.Errorf("in pages of %d: %d messages, want %d, newest first", size, len(got), all)
		}
	}
	for _, limit := range []int{1, 2, 3, all} {
		if got := listed((&listParams{}).SetTo(person).SetPageSize(2).SetLimit(limit)); !slices.Equal(got, sids[:limit]) {
			t.Errorf("with limit %d: %d messages", limit, len(got))
		}
	}

	first := ok[*api.ListMessageResponse](t)(r.api.PageMessage((&listParams{}).SetTo(person).SetPageSize(3), "", ""))
	if len(first.Messages) != 3 || first.PageSize != 3 || first.Page != 0 || first.Start != 0 || first.End != 2 || first.NextPageUri == nil || first.PreviousPageUri != nil {
		t.Errorf("first page: %d messages, page %d of %d, %d to %d, next %v, previous %v",
			len(first.Messages), first.Page, first.PageSize, first.Start, first.End, first.NextPageUri, first.PreviousPageUri)
	}
	if want := "/2010-04-01/Accounts/" + simAccount + "/Messages.json"; first.NextPageUri != nil && (*first.NextPageUri)[:len(want)] != want {
		t.Errorf("next_page_uri %q is not relative to Twilio's host", *first.NextPageUri)
	}

	// What arrives while somebody leafs through comes before the first page.
	messages, errs := r.api.StreamMessage((&listParams{}).SetTo(person).SetPageSize(2))
	var streamed []string
	for m := range messages {
		streamed = append(streamed, val(m.Sid))
		if len(streamed) == 1 {
			send(person)
		}
	}
	if err := <-errs; err != nil {
		t.Fatal(err)
	}
	for _, sid := range sids {
		if !slices.Contains(streamed, sid) {
			t.Errorf("a message was skipped because another arrived between two pages")
		}
	}
	_, err := r.api.PageMessage((&listParams{}).SetPageSize(5000), "", "")
	if err != nil {
		t.Errorf("a page size above the maximum: %v, want it cut to 1,000", err)
	}
}

// TestSDKListLag: a list may be behind, fetching is not.
func TestSDKListLag(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{})
	if err := r.sim.SetFaults(twiliosim.Faults{ListLagMS: 3_600_000}); err != nil {
		t.Fatal(err)
	}
	sid := val(ok[*api.ApiV2010Message](t)(r.api.CreateMessage(text(person, "Your code is 123456."))).Sid)
	if list := ok[[]api.ApiV2010Message](t)(r.api.ListMessage((&listParams{}).SetTo(person))); len(list) != 0 {
		t.Errorf("%d messages listed at once", len(list))
	}
	ok[*api.ApiV2010Message](t)(r.api.FetchMessage(sid, nil))
	r.sim.ClearFaults()
	if list := ok[[]api.ApiV2010Message](t)(r.api.ListMessage((&listParams{}).SetTo(person))); len(list) != 1 {
		t.Errorf("%d messages listed without the lag, want 1", len(list))
	}
}

// TestSDKListDefaultPage: 50 a page unless asked otherwise.
func TestSDKListDefaultPage(t *testing.T) {
	t.Parallel()
	r := newRig(t, twiliosim.Options{})
	for i := range 51 {
		if _, err := r.api.CreateMessage(text(person, fmt.Sprintf("Your code is %06d.", i))); err != nil {
			t.Fatal(err)
		}
	}
	p := ok[*api.ListMessageResponse](t)(r.api.PageMessage(nil, "", ""))
	if len(p.Messages) != 50 || p.PageSize != 50 || val(p.Messages[0].Body) != "Your code is 000050." {
		t.Errorf("%d messages, page size %d, first %q; want 50, 50 and the newest", len(p.Messages), p.PageSize, val(p.Messages[0].Body))
	}
}
