package flopynet

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/engine"
)

// TestDamagedStateKeepsNobodyFromStarting: the log says what can't be read, what can be worked out from other values is, and the rest
// begins anew.
func TestDamagedStateKeepsNobodyFromStarting(t *testing.T) {
	db := openEngine(t, engine.Options{})
	table := &roundTable{}
	table.set(1, 5, 0, "")
	before := syncOf(t, db, table)
	for _, change := range []func(){func() {}, func() { table.set(1, 3, time.Minute, "") }} {
		change()
		if err := before.poll(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
	rounds := storedRounds(t, db)

	var damaged []engine.StateChange
	for kind, names := range map[string][]string{
		stateKind: {
			flLastState, flEventsState, decisionsState, hoursState, policyEventsState, parametersState, topologyState, totalsState,
			switchState + "0000000000000001", switchState + "none", tableState + "0000000000000001",
		},
		flClientKind: {"client-1"},
		trainingKind: {trainingName(ordinalStride), trainingName(2 * ordinalStride), "none", trainingName(3 * ordinalStride)},
		roundKind:    {roundName(2*ordinalStride, 2)},
	} {
		for _, name := range names {
			damaged = append(damaged, engine.StateChange{Kind: kind, Name: name, Value: []byte(`{"last_event_id":"x","at":7,"ui`)})
		}
	}
	if err := db.ChangeState(damaged...); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	peer := PeerOptions{URL: "http://127.0.0.1:1"}
	options := Options{FLServer: peer, PolicyEngine: peer, SDNController: peer, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	bed, err := NewTestbed(db, options)
	if err != nil {
		t.Fatal(err)
	}
	defer bed.Close()
	for _, one := range damaged {
		if one.Kind != roundKind && !strings.Contains(log.String(), one.Name) {
			t.Errorf("nothing is logged of %s %s", one.Kind, one.Name)
		}
	}
	if NoTestbed(db, time.Now); bed.fl.events.position.LastEventID != "" || bed.network.topology.Changed != 0 {
		t.Error("a half of a damaged value is taken")
	}
	had := before.rounds.list()
	for i := range had {
		had[i].Count -= i // the damaged round can't be counted
	}
	if got := bed.fl.rounds.list(); !slices.Equal(got, had) {
		t.Errorf("the trainings are %+v, before %+v", got, had)
	}
	if err := syncOf(t, db, table).poll(t.Context(), 0); err != nil { // which mends the round
		t.Error(err)
	}
	if diff := cmp.Diff(rounds, storedRounds(t, db)); diff != "" {
		t.Errorf("the rounds, -want +got:\n%s", diff)
	}
}
