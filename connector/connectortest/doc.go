// Package connectortest is what every connector has to pass.
//
//	func TestConformance(t *testing.T) {
//		connectortest.Run(t, connectortest.Harness{
//			New:     func(t testing.TB, baseURL string, rt http.RoundTripper) connector.Sender { … },
//			Accept:  func(w http.ResponseWriter, r *http.Request) { … },
//			Secrets: []string{token},
//		})
//	}
//
// Run stands in for the provider on a loopback port and lets everything happen
// to a send that can: each HTTP status, answers that mean nothing, answers that
// are cut off or never come, servers that cannot be reached, contexts that end.
// It holds the connector to the contract of package connector: above all, that
// an error says truly whether the text may be on its way, that a request is
// made once, and that nothing secret is shown.
//
// [NoSecrets] and [LoopbackOnly] serve a connector's own tests.
package connectortest
