package flopynet

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// put stores a sample at a number of seconds after noon; tags are "key:value key:value".
func put(t *testing.T, db *engine.DB, source, name, tags string, second, value float64) {
	t.Helper()
	list := model.Tags{{Key: model.SourceKey, Value: source}}
	for field := range strings.FieldsSeq(tags) {
		key, value, _ := strings.Cut(field, ":")
		list = append(list, model.Tag{Key: key, Value: value})
	}
	id, err := db.Resolve(name, model.Normalize(list))
	if err != nil {
		t.Fatal(err)
	}
	var batch engine.Batch
	batch.Add(id, noon.UnixNano()+int64(second*1e9), value)
	if err := db.Write(&batch); err != nil {
		t.Fatal(err)
	}
}

// at is a number of seconds after noon.
func at(second float64) int64 { return noon.UnixNano() + int64(second*1e9) }

// texts spells rows as "second type {data}", without what each row says of itself.
func texts(t *testing.T, rows []*HistoryRow) []string {
	t.Helper()
	var all []string
	for _, row := range rows {
		when, err := time.Parse(time.RFC3339, row.Timestamp)
		if err != nil || row.Type != row.MetricType || row.Data["timestamp"] != float64(when.Unix()) || row.Data["source_component"] != row.Component || row.Data["component"] != row.Component {
			t.Errorf("%v: %+v", err, row)
		}
		for _, key := range []string{"timestamp", "component", "source_component"} {
			delete(row.Data, key)
		}
		all = append(all, fmt.Sprint(when.Sub(noon).Seconds(), " ", row.Type, " ", row.Data))
	}
	return all
}

func TestHistory(t *testing.T) {
	db := openEngine(t, engine.Options{})
	put(t, db, FLServer, "accuracy", "", 0, 0.5)
	put(t, db, FLServer, "accuracy", "", 4.9, 0.6) // the last of its interval
	put(t, db, FLServer, "loss", "", 1, 0.9)
	put(t, db, FLServer, "accuracy", "", 5, 0.7)
	put(t, db, FLServer, "accuracy", "client_id:client-1", 6, 0.1) // beside one without tags
	put(t, db, FLServer, "cpu_usage", "host:a", 7, 12)             // the only one of its name
	put(t, db, SDNController, "rx_bytes", "dpid:1 port:1", 5, 100)
	put(t, db, SDNController, "rx_bytes", "dpid:1 port:2", 9, 200)
	put(t, db, SDNController, "nothing", "", 11, math.NaN())
	put(t, db, PolicyEngine, "policy_checks_total", "", 5, 3)
	put(t, db, systemSource, "cpu_usage", "host:lab", 20, 50)
	put(t, db, "somebody", "cpu_usage", "", 5, 1)
	testbed := NoTestbed(db, func() time.Time { return noon })
	all := []string{
		"20 system map[cpu_usage:50]",
		"10 network map[]",
		"5 fl_server map[accuracy:0.7 cpu_usage:12]", "5 policy_engine map[policy_checks_total:3]",
		"5 network map[rx_bytes:map[dpid:1,port:1:100 dpid:1,port:2:200]]",
		"0 fl_server map[accuracy:0.6 loss:0.9]",
	}
	for name, row := range map[string]struct {
		query HistoryQuery
		total int
		want  []string
	}{
		"all":            {HistoryQuery{Limit: 100}, 6, all},
		"page":           {HistoryQuery{Limit: 2, Offset: 1}, 6, all[1:3]},
		"behind the end": {HistoryQuery{Limit: 2, Offset: 6}, 6, nil},
		"none":           {HistoryQuery{}, 6, nil},
		"ascending":      {HistoryQuery{Limit: 2, Ascending: true}, 6, []string{all[5], all[2]}},
		"type":           {HistoryQuery{Type: "network", Limit: 9}, 2, []string{all[1], all[4]}},
		"any case":       {HistoryQuery{Type: "FL_SERVER", Limit: 1}, 2, all[2:3]},
		"component":      {HistoryQuery{Component: "SDN_CONTROLLER", Limit: 9}, 2, []string{all[1], all[4]}},
		"both":           {HistoryQuery{Type: "network", Component: FLServer, Limit: 9}, 0, nil},
		"unknown":        {HistoryQuery{Type: "fl_round_1", Limit: 9}, 0, nil},
		"range":          {HistoryQuery{Limit: 9, From: at(4), To: at(5)}, 1, []string{"0 fl_server map[accuracy:0.6]"}},
		"empty range":    {HistoryQuery{Limit: 9, From: at(100), To: at(200)}, 0, nil},
		"a year later":   {HistoryQuery{Limit: 9, To: at(365 * 86400)}, 6, all},
	} {
		if row.query.To == 0 {
			row.query.To = at(3600)
		}
		history, err := testbed.History(t.Context(), row.query)
		if err != nil {
			t.Fatal(err)
		}
		if history.Total != row.total || history.Interval != 5*time.Second {
			t.Errorf("%s: %d rows in all, of %v; want %d", name, history.Total, history.Interval, row.total)
		}
		if diff := cmp.Diff(row.want, texts(t, history.Rows)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}

// TestHistoryOfMuch: a long range has longer intervals, a metric of very many series is left out.
func TestHistoryOfMuch(t *testing.T) {
	db := openEngine(t, engine.Options{})
	for i := range maxShownPerName + 1 {
		put(t, db, SDNController, "rx_bytes", fmt.Sprint("port:", i), 0, 1)
	}
	put(t, db, SDNController, "switches", "", 0, 3)
	put(t, db, SDNController, "switches", "", 6, 4)
	testbed := NoTestbed(db, time.Now)
	week := int64(7 * 24 * time.Hour)
	history, err := testbed.History(t.Context(), HistoryQuery{Limit: 10, From: at(0) - week, To: at(0) + week})
	if err != nil {
		t.Fatal(err)
	}
	if history.Interval != 65*time.Second || history.Total != 1 {
		t.Errorf("%d rows of %v", history.Total, history.Interval)
	}
	if len(history.Rows) != 1 || history.Rows[0].Data["switches"] != 4.0 || history.Rows[0].Data["rx_bytes"] != nil {
		t.Errorf("%+v", history.Rows)
	}
	for _, ends := range [][2]int64{{1, model.MaxTime + 1}, {model.MaxTime, model.MaxTime + 1}} {
		if _, err := testbed.History(t.Context(), HistoryQuery{From: ends[0], To: ends[1]}); err != nil {
			t.Errorf("%v: %v", ends, err)
		}
	}
}

// TestPagesOfManySeries are shorter.
func TestPagesOfManySeries(t *testing.T) {
	series := map[model.SeriesID]column{}
	for i := range maxPageSeries * 3 / 10 {
		series[model.SeriesID(i)] = column{}
	}
	rows := &kindRows{columns: &columns{series: series}, present: []bool{true, true, true, true, true, true}, rows: map[int]*HistoryRow{}}
	h := &History{}
	h.choose([]*kindRows{rows}, []int64{0, 1, 2, 3, 4, 5, 6}, HistoryQuery{Limit: 10, Offset: 1})
	if len(h.Rows) != 4 || rows.rows[4] != h.Rows[0] {
		t.Errorf("%d rows", len(h.Rows))
	}
}

// TestHistoryIntervals: rows are of the slowest poll's interval.
func TestHistoryIntervals(t *testing.T) {
	testbed, err := NewTestbed(openEngine(t, engine.Options{}), Options{
		FLServer: PeerOptions{URL: "http://127.0.0.1:1", Interval: time.Second}, PolicyEngine: PeerOptions{URL: "http://127.0.0.1:1", Interval: time.Minute},
		SDNController: PeerOptions{URL: "http://127.0.0.1:1", Interval: -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer testbed.Close()
	for kindName, want := range map[string]time.Duration{
		FLServer: time.Second, PolicyEngine: time.Minute, typeNetwork: 5 * time.Second, "": time.Minute, typePolicyCount: time.Hour, "none": 5 * time.Second,
	} {
		history, err := testbed.History(t.Context(), HistoryQuery{Type: kindName, From: at(0), To: at(60)})
		if err != nil || history.Interval != want {
			t.Errorf("%q: %v, %v; want %v", kindName, history.Interval, err, want)
		}
	}
}

// TestPolicyChart has what the dashboard draws of the policy engine's hours.
func TestPolicyChart(t *testing.T) {
	db := openEngine(t, engine.Options{})
	put(t, db, PolicyEngine, "active_policies", "", 0, 20)
	put(t, db, PolicyEngine, "policy_count", "", 5, 21)
	for name, value := range map[string]float64{"total_decisions": 10, "allowed_count": 8, "denied_count": 2, "avg_evaluation_time_ms": 0.5} {
		put(t, db, PolicyEngine, name, "", 0, value)
	}
	put(t, db, PolicyEngine, "enabled_policy_count", "", 3600, 19)
	testbed := NoTestbed(db, time.Now)
	for kindName, want := range map[string][]string{
		typePolicyCount: {
			"3600 policy_count map[enabled_policy_count:19 metric_value:19]",
			"0 policy_count map[active_policies:20 metric_value:20 policy_count:21]",
		},
		typeDecisionCount: {"0 decision_count map[allowed:8 allowed_count:8 avg_evaluation_time_ms:0.5 denied:2 denied_count:2 metric_value:10 total:10 total_decisions:10 total_evaluations:10]"},
	} {
		history, err := testbed.History(t.Context(), HistoryQuery{Type: kindName, Limit: 9, To: at(7200)})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, texts(t, history.Rows)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", kindName, diff)
		}
	}
}

func TestLatestRow(t *testing.T) {
	db := openEngine(t, engine.Options{})
	testbed := NoTestbed(db, time.Now)
	if row, err := testbed.LatestRow(t.Context(), "", model.MaxTime+1); row != nil || err != nil {
		t.Errorf("of nothing: %+v, %v", row, err)
	}
	put(t, db, PolicyEngine, "policy_count", "", 0, 20)
	put(t, db, PolicyEngine, "policy_checks_total", "", 5, 3)
	put(t, db, SDNController, "switches", "", 3, 1)
	for kindName, want := range map[string]string{
		"":           "5 policy_engine map[policy_checks_total:3 policy_count:20]",
		PolicyEngine: "5 policy_engine map[policy_checks_total:3 policy_count:20]",
		"NETWORK":    "3 network map[switches:1]",
	} {
		row, err := testbed.LatestRow(t.Context(), kindName, model.MaxTime+1)
		if err != nil || row == nil {
			t.Fatalf("%q: %v, %v", kindName, row, err)
		}
		if got := texts(t, []*HistoryRow{row})[0]; got != want {
			t.Errorf("%q: %s, want %s", kindName, got, want)
		}
	}
}

// TestLatestFLOfOthers: the FL server was never heard of, and somebody has written its metrics.
func TestLatestFLOfOthers(t *testing.T) {
	db := openEngine(t, engine.Options{})
	testbed := NoTestbed(db, func() time.Time { return noon })
	latest := func() LatestFL {
		t.Helper()
		l, err := testbed.LatestFL(t.Context(), model.MaxTime+1)
		if err != nil {
			t.Fatal(err)
		}
		l.RawMetrics = nil
		return *l
	}
	want := LatestFL{Status: "unknown", ServerStatus: "unknown", Timestamp: "2024-01-15T12:00:00Z", LastUpdate: "2024-01-15T12:00:00Z"}
	if diff := cmp.Diff(want, latest()); diff != "" {
		t.Errorf("of nothing, -want +got:\n%s", diff)
	}
	for name, value := range map[string]float64{
		"current_round": 1, "max_rounds": 3, "connected_clients": 2, "clients": 3, "accuracy": 0.5, "loss": 1.5, "training_duration": 2.5,
	} {
		put(t, db, FLServer, name, "", 3, value)
	}
	want = LatestFL{
		Status: "unknown", ServerStatus: "unknown", Timestamp: "2024-01-15T12:00:03Z", LastUpdate: "2024-01-15T12:00:03Z", Round: 1, MaxRounds: 3, Accuracy: 0.5, Loss: 1.5,
		ClientsConnected: 2, ClientsTotal: 3, TrainingDuration: 2.5,
	}
	if diff := cmp.Diff(want, latest()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestSelectMetrics(t *testing.T) {
	db := openEngine(t, engine.Options{})
	put(t, db, SDNController, "switches", "", 0, 1)
	put(t, db, SDNController, "links", "", 0, 1)
	testbed := NoTestbed(db, time.Now)
	for metricType, want := range map[string][]Selected{
		"network":               {{"links", SDNController}, {"switches", SDNController}},
		"NETWORK.switches":      {{"switches", SDNController}},
		"sdn_controller.a.b":    {{"a.b", SDNController}},
		"accuracy":              {{"accuracy", ""}},
		"app.latency":           {{"app.latency", ""}},
		"fl_server":             nil,
		"policy_count":          nil,
		"policy_engine.version": {{"version", PolicyEngine}},
	} {
		got, err := testbed.SelectMetrics(t.Context(), metricType, at(-60), at(60))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v, -want +got:\n%s", metricType, err, diff)
		}
	}
}
