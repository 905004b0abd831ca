package bench

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// promSelector is the samples of a question's bucket, in PromQL.
func promSelector(q question) string {
	name := metricName(q.field)
	if q.host >= 0 {
		name += fmt.Sprintf("{host=%q}", hostName(q.host))
	}
	return name + "[" + promDuration(promWindow(q)) + "]"
}

func promDuration(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) + "ms" }

// promWindow is the length of a question's buckets.
func promWindow(q question) time.Duration {
	if q.step > 0 {
		return q.step
	}
	return q.to.Sub(q.from)
}

// promAsk is the path of a question, given how percentiles are asked for. A bucket [from, to) is the window that
// ends a millisecond before to; so it doesn't matter whether a window has its start in it.
func promAsk(q question, ofPercentiles string, extra ...string) string {
	selector, by := promSelector(q), ""
	if q.byHost {
		by = " by (host)"
	}
	var expression string
	switch q.function {
	case totals:
		expression = fmt.Sprintf(`label_replace(sum(count_over_time(%[1]s))%[2]s,"f","0","","") or label_replace(sum(sum_over_time(%[1]s))%[2]s,"f","1","","")`, selector, by)
	case percentiles:
		expression = ofPercentiles
	default:
		expression = "avg(avg_over_time(" + selector + "))" + by
	}
	if expression == "" {
		return ""
	}
	last := promTime(q.to.Add(-time.Millisecond))
	if q.step == 0 {
		return pathOf("/api/v1/query", append([]string{"query", expression, "time", last}, extra...)...)
	}
	first := promTime(q.from.Add(q.step - time.Millisecond))
	return pathOf("/api/v1/query_range", append([]string{"query", expression, "start", first, "end", last, "step", promDuration(q.step)}, extra...)...)
}

func promTime(t time.Time) string {
	return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64)
}

// promPoint is a time in seconds and a value as text.
type promPoint [2]json.RawMessage

func (p promPoint) parse() (milliseconds int64, value float64, err error) {
	seconds, err := strconv.ParseFloat(string(p[0]), 64)
	if err != nil {
		return 0, 0, err
	}
	value, err = strconv.ParseFloat(strings.Trim(string(p[1]), `"`), 64)
	return int64(seconds*1000 + 0.5), value, err
}

// promRead takes an answer apart. The label f tells the values of one point apart: its values are those in order.
func promRead(q question, body []byte, order ...string) ([]row, error) {
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string `json:"metric"`
				Value  promPoint         `json:"value"`
				Values []promPoint       `json:"values"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	type place struct {
		host string
		at   int64
	}
	found := map[place]map[string]float64{}
	for _, series := range answer.Data.Result {
		points := series.Values
		if q.step == 0 {
			points = []promPoint{series.Value}
		}
		for _, point := range points {
			at, value, err := point.parse()
			if err != nil {
				return nil, err
			}
			where := place{at: at + 1 - promWindow(q).Milliseconds()}
			if q.byHost {
				where.host = series.Metric["host"]
			}
			if found[where] == nil {
				found[where] = map[string]float64{}
			}
			found[where][series.Metric["f"]] = value
		}
	}
	if len(order) == 0 {
		order = []string{""}
	}
	rows := make([]row, 0, len(found))
	for where, values := range found {
		r := row{host: where.host, at: where.at}
		for _, name := range order {
			value, there := values[name]
			if !there {
				return nil, fmt.Errorf("a point without its value %q", name)
			}
			r.values = append(r.values, value)
		}
		rows = append(rows, r)
	}
	return rows, nil
}
