package flopynet

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// roundTable answers GET /rounds from rows by their numbers: the text after the number is the second of the hour and what
// else the row tells. It bends to what a server may do that isn't ours to choose.
type roundTable struct {
	rows    map[int]string
	asked   int
	refuses int // the request that fails, from 1; 0: none
}

func (table *roundTable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if table.asked++; table.asked == table.refuses {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	start, _ := strconv.Atoi(r.FormValue("start_round"))
	limit, _ := strconv.Atoi(r.FormValue("limit"))
	var rows []string
	for number := start; number <= 3000 && len(rows) < limit; number++ {
		if row, ok := table.rows[number]; ok {
			rows = append(rows, row)
		}
	}
	_, _ = fmt.Fprintf(w, `{"rounds":[%s]}`, strings.Join(rows, ","))
}

// set puts rounds from one number to another into the table, which end a second apart.
func (table *roundTable) set(from, to int, begin time.Duration, more string) {
	if table.rows == nil {
		table.rows = map[int]string{}
	}
	for number := from; number <= to; number++ {
		at := noon.Add(begin + time.Duration(number-from)*time.Second)
		table.rows[number] = fmt.Sprintf(`{"round":%d,"timestamp":%q,"accuracy":0.%d%s}`, number, at.Format("2006-01-02T15:04:05"), number, more)
	}
}

// syncOf returns a sync with a table, as a collector has it that was just started.
func syncOf(t *testing.T, db *engine.DB, table *roundTable) *roundSync {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	rounds := openRounds(db, logger)
	r := newRecorder(db, FLServer, logger, time.Now, func(time.Time, int) {})
	s := newRoundSync(peerOf(t, time.Minute, table.ServeHTTP), r, rounds, logger)
	return &s
}

// storedRounds lists what is kept, a training a line: the numbers with the seconds after noon.
func storedRounds(t *testing.T, db *engine.DB) []string {
	t.Helper()
	var lines []string
	var last int64
	err := db.EachState(roundKind, func(name string, value []byte) error {
		r, err := openRound(name, value)
		if err != nil {
			return err
		}
		if r.training != last {
			lines, last = append(lines, ""), r.training
		}
		line := &lines[len(lines)-1]
		*line = strings.TrimSpace(fmt.Sprintf("%s %d@%d", *line, r.number, (r.time-noon.UnixNano())/int64(time.Second)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// TestRoundsOfTrainings has tables as polls find them, one after the other, and what must be kept in the end.
func TestRoundsOfTrainings(t *testing.T) {
	set := func(from, to, second int) func(*roundTable) {
		return func(table *roundTable) { table.set(from, to, time.Duration(second)*time.Second, "") }
	}
	wipe := func(table *roundTable) { table.rows = nil }
	for _, row := range []struct {
		name  string
		polls [][]func(*roundTable) // what happens before each
		want  []string
	}{
		{"nothing", [][]func(*roundTable){{}}, nil},
		{"one", [][]func(*roundTable){{set(1, 2, 0)}, {set(3, 3, 10)}, {}}, []string{"1@0 2@1 3@10"}},
		{"a second, seen from its first round", [][]func(*roundTable){{set(1, 3, 0)}, {set(1, 1, 10)}, {set(2, 4, 11)}}, []string{"1@0 2@1 3@2", "1@10 2@11 3@12 4@13"}},
		{"a second, which began while we were away", [][]func(*roundTable){{set(1, 5, 0)}, {set(1, 3, 10)}}, []string{"1@0 2@1 3@2 4@3 5@4", "1@10 2@11 3@12"}},
		{"the first went on before", [][]func(*roundTable){{set(1, 2, 0)}, {set(3, 5, 2), set(1, 3, 10)}}, []string{"1@0 2@1 4@3 5@4", "1@10 2@11 3@12"}},
		{"two while we were away", [][]func(*roundTable){{set(1, 4, 0)}, {set(1, 3, 10), set(1, 2, 20)}, {set(3, 3, 22)}},
			[]string{"1@0 2@1 3@2 4@3", "3@12", "1@20 2@21 3@22"}},
		{"three, never seen before", [][]func(*roundTable){{set(1, 3, 0), set(1, 2, 10), set(1, 1, 20)}}, []string{"3@2", "2@11", "1@20"}},
		{"it began again at a later round", [][]func(*roundTable){{set(1, 5, 0)}, {set(4, 4, 10)}, {set(5, 6, 11)}}, []string{"1@0 2@1 3@2 4@3 5@4", "4@10 5@11 6@12"}},
		{"the table was lost", [][]func(*roundTable){{set(1, 5, 0)}, {wipe}, {set(1, 2, 10)}, {set(3, 3, 12)}}, []string{"1@0 2@1 3@2 4@3 5@4", "1@10 2@11 3@12"}},
		{"the clock went back", [][]func(*roundTable){{set(1, 3, 100)}, {set(1, 2, 10)}, {set(3, 4, 12)}}, []string{"1@100 2@101 3@102", "1@10 2@11 3@12 4@13"}},
		{"the clock went back a little", [][]func(*roundTable){{set(1, 3, 10)}, {set(4, 5, 11)}, {set(1, 2, 20)}}, []string{"1@10 2@11 3@12 4@11 5@12", "1@20 2@21"}},
		{"an old table came back", [][]func(*roundTable){{set(1, 3, 0)}, {set(1, 2, 10)}, {set(1, 3, 0)}, {}}, []string{"1@0 2@1 3@2", "1@10 2@11"}},
	} {
		for _, restarts := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restarts %v", row.name, restarts), func(t *testing.T) {
				db := openEngine(t, engine.Options{})
				table := &roundTable{}
				s := syncOf(t, db, table)
				for _, changes := range row.polls {
					for _, change := range changes {
						change(table)
					}
					if restarts {
						s = syncOf(t, db, table)
					}
					if err := s.poll(t.Context(), len(table.rows)); err != nil {
						t.Fatal(err)
					}
				}
				if diff := cmp.Diff(row.want, storedRounds(t, db)); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			})
		}
	}
}

// TestRoundsByPages has each request fail in turn, of those that it takes to read three pages after an outage, and reads on.
func TestRoundsByPages(t *testing.T) {
	for refuses := 1; refuses <= 5; refuses++ {
		db := openEngine(t, engine.Options{})
		table := &roundTable{}
		table.set(1, 3, 0, "")
		s := syncOf(t, db, table)
		if err := s.poll(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		table.set(4, 1300, 3*time.Second, "")
		table.asked, table.refuses = 0, refuses
		if err := s.poll(t.Context(), 0); err == nil {
			t.Errorf("request %d failed without an error", refuses)
		}
		if err := s.poll(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		list := s.rounds.list()
		want := []training{{Ordinal: ordinalStride, First: 1, Last: 1300, Count: 1300, FirstTime: noon.UnixNano(), LastTime: noon.Add(1299 * time.Second).UnixNano()}}
		if diff := cmp.Diff(want, list); diff != "" {
			t.Errorf("request %d: -want +got:\n%s", refuses, diff)
		}
		samples, err := db.Samples(t.Context(), engine.SamplesRequest{
			Selection: engine.Selection{To: model.MaxTime, Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, "accuracy")}}, Limit: 5000,
		})
		if err != nil || len(samples.Rows) != 1300 {
			t.Errorf("request %d: %d samples, %v", refuses, len(samples.Rows), err)
		}
	}
}

// TestAClockThatIsSetBackFar in the middle of a training, while we look at it.
func TestAClockThatIsSetBackFar(t *testing.T) {
	db := openEngine(t, engine.Options{})
	table := &roundTable{}
	s := syncOf(t, db, table)
	for _, begin := range []time.Duration{time.Hour, 0, 0} {
		if count := len(table.rows); begin > 0 || count < 6 {
			table.set(count+1, count+3, begin, "")
		}
		if err := s.poll(t.Context(), len(table.rows)); err != nil {
			t.Fatal(err)
		}
	}
	table.set(1, 1, 2*time.Hour, "")
	if err := s.poll(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	want := []string{"1@3600 2@3601 3@3602 4@0 5@1 6@2", "1@7200"}
	if diff := cmp.Diff(want, storedRounds(t, db)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestARestartWithinTheReadingOfTheTable: a second training has replaced the table's first rows, and the collector ends when it has read
// as far as rows of the first.
func TestARestartWithinTheReadingOfTheTable(t *testing.T) {
	db := openEngine(t, engine.Options{})
	table := &roundTable{refuses: 2}
	table.set(1, 1200, 0, "")
	table.set(1, 3, time.Hour, "")
	if err := syncOf(t, db, table).poll(t.Context(), 0); err == nil {
		t.Fatal("the second page was read")
	}
	if err := syncOf(t, db, table).poll(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	lines := storedRounds(t, db)
	if len(lines) != 2 || len(strings.Fields(lines[0])) != 1197 || lines[1] != "1@3600 2@3601 3@3602" {
		t.Errorf("%d trainings, of which the first has %d rounds", len(lines), len(strings.Fields(lines[0])))
	}
}

// TestARowThatChanges is the newest one, whose time stays.
func TestARowThatChanges(t *testing.T) {
	db := openEngine(t, engine.Options{})
	table := &roundTable{}
	table.set(1, 3, 0, "")
	s := syncOf(t, db, table)
	for _, more := range []string{"", `,"loss":NaN`, `,"loss":0.5,"raw_metrics":{"phase_durations":{"aggregation":2}}`} {
		table.set(3, 3, 2*time.Second, more)
		if err := s.poll(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
	r, err := s.rounds.get(ordinalStride, 3)
	if err != nil || r.Loss.value != 0.5 || r.Aggregation.value != 2 || r.RawMetrics == nil {
		t.Errorf("%+v, %v", r, err)
	}
	if list := s.rounds.list(); len(list) != 1 || list[0].Count != 3 {
		t.Errorf("%+v", list)
	}
}

// TestRowsThatAreNone are left out and told of, and read when they have become ones.
func TestRowsThatAreNone(t *testing.T) {
	db := openEngine(t, engine.Options{})
	table := &roundTable{}
	table.set(1, 9, 0, "")
	good := maps.Clone(table.rows)
	for i, bad := range []string{`{"round":2}`, `{"round":"three","timestamp":"2024-01-15T12:00:02"}`, `{"timestamp":"2024-01-15T12:00:02"}`, `null`, `[]`,
		`{"round":-6,"timestamp":"2024-01-15T12:00:02"}`, `{"round":7,"timestamp":17}`, `{"round":8.5,"timestamp":"2024-01-15T12:00:02"}`} {
		table.rows[i+2] = bad
	}
	s := syncOf(t, db, table)
	now := noon
	s.peer.now = func() time.Time { return now }
	err := s.poll(t.Context(), 0)
	if err == nil || !strings.Contains(err.Error(), "7 rows are left out") { // null is no row at all
		t.Errorf("%v", err)
	}
	if diff := cmp.Diff([]string{"1@0"}, storedRounds(t, db)); diff != "" {
		t.Error(diff)
	}
	table.rows = good
	now = now.Add(rereadAfter)
	if err := s.poll(t.Context(), 0); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"1@0 2@1 3@2 4@3 5@4 6@5 7@6 8@7 9@8"}, storedRounds(t, db)); diff != "" {
		t.Error(diff)
	}
}

// TestALargeRow is kept without what makes it large.
func TestALargeRow(t *testing.T) {
	db := openEngine(t, engine.Options{})
	table := &roundTable{}
	table.set(1, 1, 1500*time.Millisecond, `,"loss":0.5,"raw_metrics":{"weights":"`+strings.Repeat("x", maxRoundBytes)+`"}`)
	s := syncOf(t, db, table)
	for range 2 {
		if err := s.poll(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
	r, err := s.rounds.get(ordinalStride, 1)
	if err != nil || r.Accuracy.value != 0.1 || r.Loss.value != 0.5 || len(r.raw) > 1000 || r.time != noon.Add(time.Second).UnixNano() {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestAPageThatIsTooLarge is read as smaller ones.
func TestAPageThatIsTooLarge(t *testing.T) {
	db := openEngine(t, engine.Options{})
	table := &roundTable{}
	table.set(1, 370, 0, `,"more":"`+strings.Repeat("x", 50_000)+`"`)
	s := syncOf(t, db, table)
	if err := s.poll(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if newest, _ := s.rounds.newest(); newest.Count != 370 {
		t.Errorf("%d rounds are stored", newest.Count)
	}
}

// TestAnswersThatAreNoTable change nothing.
func TestAnswersThatAreNoTable(t *testing.T) {
	db := openEngine(t, engine.Options{})
	for _, answer := range []string{`{}`, `[]`, `{"rounds":{}}`, `{"rounds":null}`, `{"error":"no storage","rounds":7}`} {
		s := syncOf(t, db, &roundTable{})
		s.peer = peerOf(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(answer)) })
		if err := s.poll(t.Context(), 0); err == nil {
			t.Errorf("%s was taken for a table", answer)
		}
	}
	if got := storedRounds(t, db); got != nil {
		t.Errorf("stored %v", got)
	}
}
