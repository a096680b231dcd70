package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sixdigit/sixdigit/internal/edge"
	"github.com/sixdigit/sixdigit/twiliosim"
)

// DefaultListen is where the demo and the simulator answer unless told
// otherwise.
const DefaultListen = "127.0.0.1:8010"

// Simulate runs the simulated Twilio alone until ctx ends. What it prints ends
// with a connector JSON that sends to it.
func Simulate(ctx context.Context, addr string, out, errs io.Writer) error {
	ln, err := listen(ctx, addr, false)
	if err != nil {
		return err
	}
	sim := twiliosim.New(twiliosim.Options{})
	url := localURL(ln.Addr())
	if !loopback(ln.Addr()) {
		_, _ = fmt.Fprintf(errs, "warning: %s is open to the network: everyone who reaches it can read the texts with the token below\n", ln.Addr())
	}
	_, _ = fmt.Fprintf(out, simulatorText, url, twiliosim.DefaultAccountSID, twiliosim.DefaultAuthToken, twiliosim.DefaultMessagingServiceSID)
	server := edge.NewServer(sim, edge.Timeouts{Write: simPatience, Grace: simGrace}, nil)
	server.OnStop(func() { _ = sim.Close() }) // which ends event streams and requests that hang
	if err := server.Serve(ctx, ln); err != nil && !errors.Is(err, edge.ErrUnfinished) {
		return err
	}
	return nil // slow clients had their time
}

// simPatience is longer than any latency that a fault can ask for, an hour;
// simGrace is what requests in flight get when the simulator is told to end.
const (
	simPatience = 2 * time.Hour
	simGrace    = 5 * time.Second
)

const simulatorText = `A simulated Twilio listens on %[1]s
Its phone: %[1]s/sim/   Control: %[1]s/sim/messages, /sim/faults, /sim/ledger
Stop it with Ctrl-C. A connector JSON that sends to it; save it as sim.json, then
run sixdigit connector send sim.json --to +14155550134

{
  "accountSID": "%[2]s",
  "authToken": "%[3]s",
  "fromMessagingServiceSID": "%[4]s",
  "baseURL": "%[1]s",
  "templates": [{ "usageType": "Generic", "content": "Your code is {{code}}." }]
}
`
