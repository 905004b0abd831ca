package flopynet

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/flopynet/collector/engine"
)

// trainingParameters are what the policy engine's policies say of how to train.
type trainingParameters struct {
	db   *engine.DB
	peer *peer // nil: the policy engine is not polled

	mu    sync.Mutex
	known knownParameters
}

// knownParameters are the parameters as they are kept.
type knownParameters struct {
	PolicyID   string                     `json:"policy_id,omitempty"`
	Parameters map[string]json.RawMessage `json:"parameters,omitempty"` // those that hold whatever the round
	At         int64                      `json:"at,omitempty"`         // when they were asked for; ns
}

const (
	parametersState    = PolicyEngine + "/training_parameters"
	parametersInterval = time.Minute // they are changed by people
)

// openTrainingParameters reads what is known of them.
func openTrainingParameters(db *engine.DB, logger *slog.Logger) *trainingParameters {
	return &trainingParameters{db: db, known: restored[knownParameters](db, logger, parametersState)}
}

// parameterPolicy is what we read of a policy.
type parameterPolicy struct {
	ID    text                `json:"id"`
	Rules list[parameterRule] `json:"rules"`
}

// parameterRule is one of its rules.
type parameterRule struct {
	Match      object `json:"match"`
	Parameters object `json:"parameters"`
}

// poll asks for the policies about parameters, if that was long enough ago. An engine that has no such path tells nothing, which
// is no fault.
func (p *trainingParameters) poll(ctx context.Context) error {
	if age := time.Duration(p.peer.now().UnixNano() - p.last().At); age >= 0 && age < parametersInterval {
		return nil
	}
	var policies list[parameterPolicy]
	err := p.peer.get(ctx, "/api/v1/policies", url.Values{"type": {"fl_training_parameters"}}, maxAnswerBytes, &policies)
	if isNotThere(err) {
		return nil
	}
	if err != nil {
		return err
	}
	known := knownParameters{At: p.peer.now().UnixNano()}
	for i := range policies {
		known.take(&policies[i])
	}
	if err := saveState(p.db, parametersState, known); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known = known
	return nil
}

// take takes in the rules of a policy that depend on no condition; of several the first counts, as for the engine.
func (k *knownParameters) take(policy *parameterPolicy) {
	for i := range policy.Rules {
		rule := &policy.Rules[i]
		var match map[string]json.RawMessage
		_ = json.Unmarshal(rule.Match.orEmpty(), &match) // it is an object
		if _, conditional := match["condition"]; conditional {
			continue
		}
		var fields map[string]json.RawMessage
		if json.Unmarshal(rule.Parameters.scalars().orEmpty(), &fields) != nil {
			continue
		}
		for name, value := range fields {
			if k.Parameters == nil {
				k.Parameters, k.PolicyID = map[string]json.RawMessage{}, string(policy.ID)
			}
			if _, set := k.Parameters[name]; !set && len(k.Parameters) < maxKeptFields {
				k.Parameters[name] = slices.Clone(value)
			}
		}
	}
}

// last returns what is known.
func (p *trainingParameters) last() knownParameters {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known
}
