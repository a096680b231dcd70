package twiliosim

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const (
	defaultPageSize = 50
	maxPageSize     = 1000
)

// pageOf is one page of a list.
type pageOf struct {
	number, size int
	token, next  string // next is the token of the page after it, if there is one
}

func parsePage(q params) (pageOf, *apiError) {
	pg := pageOf{size: defaultPageSize, token: q.get("PageToken")}
	if v := q.get("PageSize"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return pg, refuse(20422, "PageSize")
		}
		pg.size = min(n, maxPageSize)
	}
	if v := q.get("Page"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 || n > 1<<30 {
			return pg, refuse(20422, "Page")
		}
		pg.number = n
	}
	return pg, nil
}

// cut takes one page out of a whole list; its tokens are the page numbers.
func cut[T any](all []T, pg pageOf) ([]any, pageOf) {
	items := []any{}
	start := min(pg.number*pg.size, len(all))
	end := min(start+pg.size, len(all))
	for _, v := range all[start:end] {
		items = append(items, v)
	}
	if end < len(all) {
		pg.next = "PT" + strconv.Itoa(end)
	}
	return items, pg
}

// listOf answers with one page of a whole list.
func listOf[T any](x *exchange, key string, all []T) (int, any, *apiError) {
	pg, e := parsePage(x.query())
	if e != nil {
		return 0, nil, e
	}
	items, pg := cut(all, pg)
	return http.StatusOK, x.page(key, items, pg), nil
}

// pageQuery is the query of another page of the same list.
func (x *exchange) pageQuery(number, size int, token string) string {
	q := url.Values{}
	for k, v := range x.r.URL.Query() {
		if k != "Page" && k != "PageToken" && k != "PageSize" {
			q[k] = v
		}
	}
	q.Set("PageSize", strconv.Itoa(size))
	q.Set("Page", strconv.Itoa(number))
	if token != "" {
		q.Set("PageToken", token)
	}
	return q.Encode()
}

// page is the answer to a list. In v2010 the paging fields stand beside the
// items, and their URIs are relative.
func (x *exchange) page(key string, items []any, pg pageOf) map[string]any {
	path := x.r.URL.Path
	if strings.HasPrefix(path, v1) {
		return x.pageV1(key, items, pg)
	}
	out := map[string]any{
		key: items, "page": pg.number, "page_size": pg.size,
		"start": pg.number * pg.size, "end": pg.number*pg.size + max(len(items)-1, 0),
		"uri":               path + "?" + x.pageQuery(pg.number, pg.size, pg.token),
		"first_page_uri":    path + "?" + x.pageQuery(0, pg.size, ""),
		"next_page_uri":     nil,
		"previous_page_uri": nil,
	}
	if pg.next != "" {
		out["next_page_uri"] = path + "?" + x.pageQuery(pg.number+1, pg.size, pg.next)
	}
	if pg.number > 0 {
		out["previous_page_uri"] = path + "?" + x.pageQuery(pg.number-1, pg.size, "")
	}
	return out
}

// pageV1 is that of v1: the paging fields stand in meta, and their URLs are
// absolute, on the host that was asked.
func (x *exchange) pageV1(key string, items []any, pg pageOf) map[string]any {
	url := x.absolute(x.r.URL.Path) + "?"
	meta := map[string]any{
		"key": key, "page": pg.number, "page_size": pg.size,
		"url":               url + x.pageQuery(pg.number, pg.size, pg.token),
		"first_page_url":    url + x.pageQuery(0, pg.size, ""),
		"next_page_url":     nil,
		"previous_page_url": nil,
	}
	if pg.next != "" {
		meta["next_page_url"] = url + x.pageQuery(pg.number+1, pg.size, pg.next)
	}
	if pg.number > 0 {
		meta["previous_page_url"] = url + x.pageQuery(pg.number-1, pg.size, "")
	}
	return map[string]any{key: items, "meta": meta}
}

// absolute makes a URL on the host the client asked for. A client that was told
// to go here instead of to Twilio still asks for Twilio's, which is https.
func (x *exchange) absolute(path string) string {
	scheme := "http://"
	if x.r.TLS != nil || strings.HasSuffix(x.r.Host, ".twilio.com") {
		scheme = "https://"
	}
	return scheme + x.r.Host + path
}
