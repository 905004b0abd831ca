package flopynet

import (
	"encoding/json"
	"time"
)

// FLConfig is how the training is configured, as far as somebody told: what nobody tells is null, or an empty section.
type FLConfig struct {
	Timestamp          stamp              `json:"timestamp"`
	FLServer           section            `json:"fl_server"`
	PolicyEngine       section            `json:"policy_engine"`
	TrainingParameters section            `json:"training_parameters"`
	ModelConfig        section            `json:"model_config"`
	FederationConfig   section            `json:"federation_config"`
	DataSources        []string           `json:"data_sources"`
	Status             string             `json:"status"` // unknown, basic, partial or comprehensive
	Metadata           FLConfigProvenance `json:"metadata"`
}

// FLConfigProvenance says where a configuration is from.
type FLConfigProvenance struct {
	DataSourcesUsed    []string `json:"data_sources_used"`
	ConfigCompleteness string   `json:"config_completeness"`
	Timestamp          stamp    `json:"timestamp"`
	FLServerTold       stamp    `json:"fl_server_told"`     // when it told its metrics last
	PolicyEngineTold   stamp    `json:"policy_engine_told"` // when it told its parameters last
	ExecutionTimeMS    float64  `json:"execution_time_ms"`
	APIVersion         string   `json:"api_version"`
}

// section is a part of a configuration.
type section map[string]any

// set sets a value that is told.
func (s section) set(name string, value any, told bool) {
	if told {
		s[name] = value
	} else if _, known := s[name]; !known {
		s[name] = nil
	}
}

// configSummary is what we read of the event CONFIG_LOADED.
type configSummary struct {
	Model               text   `json:"model"`
	Dataset             text   `json:"dataset"`
	Rounds              number `json:"rounds"`
	MinClients          number `json:"min_clients"`
	MinAvailableClients number `json:"min_available_clients"`
	StayAlive           flag   `json:"stay_alive_after_training"`
}

// Names of those who told.
const (
	sourceDirect     = "fl_server_direct"    // the FL server, which answers now
	sourceStored     = "fl_server_collector" // the FL server, when it answered last
	sourceEvents     = "fl_server_events"    // its event CONFIG_LOADED
	sourceParameters = "policy_engine"       // the policies about parameters
)

// FLConfig tells how the training is configured.
func (t *Testbed) FLConfig() FLConfig {
	now := stamp(t.options.Now().UnixNano()).whole(time.Millisecond)
	last, fresh := t.fl.known()
	events, parameters := t.fl.events.known(), t.parameters.last()
	c := FLConfig{
		Timestamp: now, FLServer: section{}, PolicyEngine: section{}, TrainingParameters: section{}, ModelConfig: section{},
		FederationConfig: section{}, DataSources: []string{}, Status: StatusUnknown,
	}
	summary := c.takeEvents(&events)
	c.takeServer(t.fl, &last, fresh, &summary)
	c.takeParameters(&parameters)
	switch n := len(c.DataSources); {
	case n == 1:
		c.Status = "basic"
	case n == 2:
		c.Status = "partial"
	case n > 2:
		c.Status = "comprehensive"
	}
	c.Metadata = FLConfigProvenance{
		DataSourcesUsed: c.DataSources, ConfigCompleteness: c.Status, Timestamp: now, FLServerTold: stamp(max(last.MetricsAt, last.StatusAt)),
		PolicyEngineTold: stamp(parameters.At).whole(time.Millisecond), APIVersion: "2.0",
	}
	return c
}

// takeEvents takes in what the FL server said when it started.
func (c *FLConfig) takeEvents(events *flEventPosition) (summary configSummary) {
	var details struct {
		Summary object `json:"config_summary"`
	}
	if events.ConfigAt == 0 || json.Unmarshal(events.Config.orEmpty(), &details) != nil {
		return summary
	}
	_ = json.Unmarshal(details.Summary.orEmpty(), &summary) // its fields never fail
	s := c.FederationConfig
	s.set("model", summary.Model, summary.Model != "")
	s.set("dataset", summary.Dataset, summary.Dataset != "")
	s.set("rounds", summary.Rounds.integer(), summary.Rounds.known)
	s.set("min_clients", summary.MinClients.integer(), summary.MinClients.known)
	s.set("min_available_clients", summary.MinAvailableClients.integer(), summary.MinAvailableClients.known)
	s.set("stay_alive_after_training", summary.StayAlive.value, summary.StayAlive.known)
	s["source"], s["timestamp"] = sourceEvents, stamp(events.ConfigAt)
	c.DataSources = append(c.DataSources, sourceEvents)
	return summary
}

// takeServer takes in what the FL server tells while it runs.
func (c *FLConfig) takeServer(f *flServer, last *flLast, fresh bool, summary *configSummary) {
	if last.Status == nil && last.Metrics == nil {
		return
	}
	source := sourceStored
	if fresh {
		source = sourceDirect
	}
	c.DataSources = append(c.DataSources, source)
	p, m := f.progress(), f.metrics()
	s := c.FLServer
	for _, from := range []struct {
		model, dataset text
		min, available number
		stay           flag
	}{{summary.Model, summary.Dataset, summary.MinClients, summary.MinAvailableClients, summary.StayAlive}, {m.Model, m.Dataset, m.MinClients, m.MinAvailableClients, m.StayAlive}} {
		s.set("model", from.model, from.model != "")
		s.set("dataset", from.dataset, from.dataset != "")
		s.set("min_clients", from.min.integer(), from.min.known)
		s.set("min_available_clients", from.available.integer(), from.available.known)
		s.set("stay_alive_after_training", from.stay.value, from.stay.known)
	}
	s.set("total_rounds", p.max, p.max > 0)
	s["current_round"], s["training_complete"], s["source"] = p.current, p.complete, source
	s.set("server_host", m.Host, m.Host != "")
	s.set("server_port", m.Port.integer(), m.Port.known)
	s.set("metrics_port", m.MetricsPort.integer(), m.MetricsPort.known)
	c.TrainingParameters.set("total_rounds", p.max, p.max > 0)
	if m.ModelConfig != nil {
		_ = json.Unmarshal(m.ModelConfig, &c.ModelConfig) // it is an object
		return
	}
	s = c.ModelConfig
	s.set("model_type", c.FLServer["model"], c.FLServer["model"] != nil)
	s.set("model_size_mb", m.ModelSizeMB.value, m.ModelSizeMB.known && m.ModelSizeMB.value > 0)
	s["num_classes"], s["architecture"], s["estimated_parameters"], s["source"] = nil, nil, nil, source
}

// parameterNames are those that FLOPY-NET's dashboard shows.
var parameterNames = [...]string{
	"total_rounds", "local_epochs", "batch_size", "learning_rate", "min_clients", "min_available_clients", "max_clients", "aggregation_strategy",
	"evaluation_strategy", "privacy_mechanism", "differential_privacy_epsilon", "differential_privacy_delta", "secure_aggregation",
}

// takeParameters takes in what the policies say.
func (c *FLConfig) takeParameters(known *knownParameters) {
	for _, name := range parameterNames {
		c.TrainingParameters.set(name, nil, false)
	}
	if len(known.Parameters) == 0 {
		return
	}
	for _, name := range parameterNames {
		c.PolicyEngine[name] = nil
	}
	for name, value := range known.Parameters {
		c.PolicyEngine[name], c.TrainingParameters[name] = value, value
	}
	c.PolicyEngine["policy_id"], c.PolicyEngine["source"] = known.PolicyID, sourceParameters
	c.DataSources = append(c.DataSources, sourceParameters)
}
