package testbed

import (
	"cmp"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (t *Testbed) policyRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, ask(t, func(s *scenario) object { return object{"status": "ok", "version": s.policy.version} }))
	})
	mux.HandleFunc("GET /check", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, object{"allowed": true, "reason": "Default allow policy"})
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, ask(t, (*scenario).policyMetrics))
	})
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		limit, err := pythonInt(r.URL.Query(), "limit", 1000)
		if err != nil {
			writeJSON(w, http.StatusInternalServerError, object{"error": err.Error()})
			return
		}
		writeJSON(w, http.StatusOK, ask(t, func(s *scenario) object {
			return eventPage(s.policy.events, r.FormValue("since_event_id"), limit, policyEvent)
		}))
	})
	mux.HandleFunc("GET /api/v1/policy_decisions", t.serveDecisions)
	mux.HandleFunc("GET /api/v1/policy_metrics", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, ask(t, func(s *scenario) []object { return s.hourlyMetrics(r.URL.Query()) }))
	})
	mux.HandleFunc("GET /api/v1/policy_version", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, ask(t, func(s *scenario) object {
			return object{"policy_version": s.policy.version, "last_updated": 0, "total_policies": len(policies), "timestamp": epoch(s.now)}
		}))
	})
	return mux
}

func policyEvent(event Event) object {
	return object{"id": event.ID, "type": event.Type, "timestamp": epoch(event.Time), "source": "POLICY_ENGINE", "details": event.Details}
}

func (s *scenario) policyMetrics() object {
	e := &s.policy
	latest, components := any(0), []string{}
	if e.checks.total > 0 { // FLOPY-NET's components don't say who they are
		latest, components = epoch(e.latest), []string{"unknown"}
	}
	return object{
		"version": "1.0.0", "uptime_seconds": seconds(s.now.Sub(e.began)), "policy_count": len(policies), "enabled_policy_count": len(policies),
		"policy_version": e.version, "policy_history_count": e.version - 1, "policy_applications_count": len(e.applications),
		"policy_checks_total": e.checks.total, "policy_checks_allowed": e.checks.allowed, "policy_checks_denied": e.checks.denied,
		"policy_components": components, "policy_types": append([]string{}, e.kinds...), "policy_requesters": components,
		"latest_application_timestamp": latest,
	}
}

// decisionRow is a decision as the engine tells it, and as it pushes it.
func decisionRow(d Decision) object {
	decision := "allow"
	if !d.Allowed {
		decision = "deny"
	}
	return object{
		"id": d.ID, "policy_id": d.PolicyID, "policy_name": d.PolicyName, "component": d.Component, "timestamp": epoch(d.Time),
		"context": d.Context, "decision": decision, "result": d.Allowed, "reason": d.Reason, "action_taken": d.Reason,
		"execution_time": milliseconds(d.Evaluation), "request_id": d.RequestID,
	}
}

// finite reads a number. NaN and infinity are none here, unlike with Python.
func finite(text string) (float64, bool) {
	value, err := strconv.ParseFloat(text, 64)
	return value, err == nil && !math.IsNaN(value) && !math.IsInf(value, 0)
}

// serveDecisions answers with the newest first. A bound that isn't a number is none.
func (t *Testbed) serveDecisions(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	limit, err := pythonInt(query, "limit", 100)
	if err != nil {
		writeJSON(w, http.StatusInternalServerError, object{"error": err.Error()})
		return
	}
	start, hasStart := finite(query.Get("start_time"))
	end, hasEnd := finite(query.Get("end_time"))
	id, component, result := query.Get("policy_id"), query.Get("component"), strings.ToLower(query.Get("result"))
	wanted := slices.Contains([]string{"true", "1", "allow", "allowed"}, result)
	writeJSON(w, http.StatusOK, ask(t, func(s *scenario) []object {
		var passed []Decision
		for _, d := range s.policy.decisions {
			at := float64(epoch(d.Time))
			if hasStart && at < start || hasEnd && at > end || id != "" && d.PolicyID != id ||
				component != "" && d.Component != component || result != "" && d.Allowed != wanted {
				continue
			}
			passed = append(passed, d)
		}
		slices.SortStableFunc(passed, func(a, b Decision) int { return cmp.Compare(b.Time.UnixMicro(), a.Time.UnixMicro()) })
		rows := []object{}
		for _, d := range pythonSlice(passed, 0, limit) {
			rows = append(rows, decisionRow(d))
		}
		return rows
	}))
}

// mostHours bounds what the engine computes for one request; the real one has no bound.
const mostHours = 24 * 366

// hourlyMetrics are computed for each hour from start_time on: a row tells of the hour that begins at its timestamp.
// Unless both bounds are numbers it is the last day.
func (s *scenario) hourlyMetrics(query url.Values) []object {
	start, hasStart := finite(query.Get("start_time"))
	end, hasEnd := finite(query.Get("end_time"))
	if !hasStart || !hasEnd {
		end = float64(epoch(s.now))
		start = end - 24*3600
	}
	rows := []object{}
	for hour := 0; hour < mostHours && start <= end; hour++ {
		row := func(kind, name string, value any) object {
			at := time.UnixMicro(int64(start * 1e6))
			return object{"timestamp": pyFloat(start), "iso_time": isoTime(at, true), "metric_type": kind, "metric_name": name, "metric_value": value, "unit": "count"}
		}
		rows = append(rows, row("policy_count", "active_policies", len(policies)))
		var total, denied int
		var evaluation float64
		for _, a := range s.policy.applications {
			if at := float64(epoch(a.at)); at < start || at >= start+3600 {
				continue
			}
			total++
			evaluation += float64(milliseconds(a.evaluation))
			if !a.allowed {
				denied++
			}
		}
		if total > 0 {
			decisions := row("decision_count", "total_decisions", total)
			decisions["allowed_count"], decisions["denied_count"] = total-denied, denied
			decisions["denial_rate"] = rounded(float64(denied)/float64(total)*100, 2)
			decisions["avg_evaluation_time_ms"] = rounded(evaluation/float64(total), 2)
			decisions["unique_requesters"] = 1
			rows = append(rows, decisions)
		}
		start += 3600
	}
	return rows
}

// rounded is Python's round.
func rounded(value float64, digits int) pyFloat {
	short, _ := strconv.ParseFloat(strconv.FormatFloat(value, 'f', digits, 64), 64)
	return pyFloat(short)
}
