package twilioverify

import (
	"net/url"
	"strconv"
)

const (
	defaultPage = 50
	largestPage = 1000
)

// pager is what a list's request says about its page.
type pager struct {
	size  int
	page  int
	token string // where it begins; "" is at the beginning
}

func readPage(f form) (p pager, err error) {
	p = pager{size: defaultPage, token: f["PageToken"]}
	if text := f["PageSize"]; text != "" {
		if p.size, err = strconv.Atoi(text); err != nil || p.size < 1 || p.size > largestPage {
			return p, wrongList("PageSize", "it is 1 to 1000")
		}
	}
	if text := f["Page"]; text != "" {
		if p.page, err = strconv.Atoi(text); err != nil || p.page < 0 {
			return p, wrongList("Page", "it is a number")
		}
	}
	return p, nil
}

// meta leads to the other pages of the same list. There is no way back: a page
// knows where the next one begins, and none that came before.
func (p pager) meta(c *call, key, next string) Meta {
	at := func(page int, token string) string {
		q := url.Values{}
		for name, value := range c.form {
			q.Set(name, value)
		}
		q.Set("PageSize", strconv.Itoa(p.size))
		q.Set("Page", strconv.Itoa(page))
		q.Del("PageToken")
		if token != "" {
			q.Set("PageToken", token)
		}
		return c.base + c.r.URL.Path + "?" + q.Encode()
	}
	m := Meta{Page: p.page, PageSize: p.size, FirstPageURL: at(0, ""), URL: at(p.page, p.token), Key: key}
	if next != "" {
		link := at(p.page+1, next)
		m.NextPageURL = &link
	}
	return m
}
