package httpapi

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/config"
	"github.com/flopynet/collector/engine"
)

func configRoutes() []route {
	return []route{
		{method: fasthttp.MethodGet, path: "/config", about: "the configuration in force", role: roleRead, handler: (*Server).getConfig},
		{method: fasthttp.MethodPut, path: "/config", about: "change settings while the collector runs", role: roleAdmin, mutates: true,
			handler: (*Server).putConfig},
	}
}

// getConfig answers GET /config.
func (s *Server) getConfig(r *request) error {
	if err := r.noParams(); err != nil {
		return err
	}
	live, err := s.configuration()
	if err != nil {
		return err
	}
	r.respond(fasthttp.StatusOK, typeJSON, append(live.Config().JSON(), '\n'))
	return nil
}

func (s *Server) configuration() (*config.Live, error) {
	if s.options.Config == nil {
		return nil, newError(fasthttp.StatusNotFound, "This server has no configuration of its own")
	}
	return s.options.Config, nil
}

// configPatch is the body of PUT /config: an object, which config reads.
type configPatch struct{ text []byte }

// UnmarshalJSON implements json.Unmarshaler.
func (p *configPatch) UnmarshalJSON(raw []byte) error {
	p.text = append(p.text, raw...)
	return nil
}

// retentionDrops is what a shorter retention costs.
type retentionDrops struct {
	Samples   *int64  `json:"samples"` // null: counting them takes too long
	Days      *int    `json:"days"`
	Before    *string `json:"before"`     // all of them are older
	Events    *int    `json:"events"`     // null: as for samples
	FreedFrom string  `json:"freed_from"` // until then a longer retention brings them back
}

// putConfig answers PUT /config.
func (s *Server) putConfig(r *request) error {
	if err := r.noParams(); err != nil {
		return err
	}
	live, err := s.configuration()
	if err != nil {
		return err
	}
	var patch configPatch
	if err := decodeBody(r, &patch); err != nil {
		return err
	}
	ctx, cancel := r.context(s.options.QueryTimeout)
	defer cancel()
	var drops *retentionDrops
	outcome, err := live.Change(patch.text, func(before, after config.Config) (err error) {
		drops, err = s.dropsOf(ctx, before, after)
		return err
	})
	if err != nil {
		return configFault(err)
	}
	if len(outcome.Changed) > 0 {
		s.logger.Info("settings were changed", "keys", strings.Join(outcome.Changed, " "), "by", r.keyName(), "request_id", r.id)
	}
	answer := append([]byte(nil), outcome.After.JSON()...)
	answer = append(answer[:len(answer)-1], `,"restart_required":`...)
	answer = appendJSON(answer, append([]string{}, outcome.RestartRequired...))
	if drops != nil {
		answer = appendJSON(append(answer, `,"drops":`...), drops)
	}
	r.respond(fasthttp.StatusOK, typeJSON, append(answer, '}', '\n'))
	return nil
}

// dropsOf counts what another retention hides; nil if it hides nothing.
func (s *Server) dropsOf(ctx context.Context, before, after config.Config) (*retentionDrops, error) {
	var loss engine.RetentionLoss
	events := 0
	policy := after.RetentionPolicy()
	err := error(nil)
	if !reflect.DeepEqual(before.RetentionPolicy(), policy) {
		loss, err = s.db.RetentionLoss(ctx, policy)
	}
	if age := after.Storage.RetentionEvents; err == nil && age != before.Storage.RetentionEvents {
		events, err = s.db.EventLoss(ctx, time.Duration(age))
	}
	drops := &retentionDrops{FreedFrom: formatTime(max(loss.FreedAt, s.now()+int64(time.Hour)))}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return drops, nil
	case err != nil:
		return nil, err
	case events == 0 && loss == engine.RetentionLoss{FreedAt: loss.FreedAt}:
		return nil, nil
	}
	drops.Samples, drops.Days, drops.Events = &loss.Samples, &loss.Days, &events
	if loss.Before > 0 {
		oldest := formatTime(loss.Before)
		drops.Before, drops.FreedFrom = &oldest, formatTime(loss.FreedAt)
	}
	return drops, nil
}

// configFault makes the client's error of what config says.
func configFault(err error) error {
	if fault, ok := errors.AsType[*config.PatchError](err); ok {
		switch {
		case fault.Fixed:
			return newError(fasthttp.StatusForbidden, "This setting can't be changed through the API", detail{"field", clip(fault.Key)},
				detail{"issue", "set it by flag, environment or configuration file, and start the collector again"})
		case fault.Key == "":
			return wrongShape(fault.Given, reflect.TypeFor[config.Config]())
		case fault.Known != nil:
			return unknownField(fault.Key, fault.Key[strings.LastIndexByte(fault.Key, '.')+1:], fault.Known)
		}
		return invalidField(fault.Key, fault.Given, fault.Issue)
	}
	problems := config.Problems(err)
	if len(problems) == 0 {
		return err
	}
	type problem struct {
		Field string `json:"field"`
		Issue string `json:"issue"`
	}
	all := make([]problem, len(problems))
	for i, p := range problems {
		all[i] = problem{p.Key, p.Text}
	}
	return invalidRequest("Invalid configuration", detail{"field", problems[0].Key}, detail{"issue", problems[0].Error()}, detail{"problems", all})
}
