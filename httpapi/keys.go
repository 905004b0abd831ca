package httpapi

import (
	"time"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/config"
)

func keyRoutes() []route {
	return []route{
		{method: fasthttp.MethodGet, path: "/admin/keys", about: "the keys there are, without their secrets", role: roleAdmin,
			handler: (*Server).getKeys},
		{method: fasthttp.MethodPost, path: "/admin/keys", about: "make a key, whose secret is shown this once", role: roleAdmin, mutates: true,
			handler: (*Server).postKey},
		{method: fasthttp.MethodDelete, path: "/admin/keys/{name}", about: "delete a key; it is of no use any more at once", role: roleAdmin, mutates: true,
			handler: (*Server).deleteKey},
	}
}

// keyView is a key as the API shows it.
type keyView struct {
	Name    string   `json:"name"`
	Role    string   `json:"role"`
	Sources []string `json:"sources"` // null: all
	Origin  string   `json:"origin"`  // configuration, or api
	Created *string  `json:"created"` // null for configuration
	Expires *string  `json:"expires"` // null: never
	Expired bool     `json:"expired"`
	Key     string   `json:"key,omitempty"` // once, when it is made
}

func viewKey(k *key, now time.Time) keyView {
	view := keyView{
		Name: k.name, Role: k.role.String(), Sources: sourceList(k.sources), Origin: "api",
		Created: nullableTime(k.created), Expires: nullableTime(k.expires), Expired: !k.valid(now),
	}
	if k.created.IsZero() {
		view.Origin = "configuration"
	}
	return view
}

func (s *Server) getKeys(r *request) error {
	if err := r.noParams(); err != nil {
		return err
	}
	views := []keyView{}
	for _, k := range s.keys.list() {
		views = append(views, viewKey(k, r.received))
	}
	r.respondValue(fasthttp.StatusOK, map[string]any{"keys": views})
	return nil
}

func (s *Server) postKey(r *request) error {
	if err := r.noParams(); err != nil {
		return err
	}
	var body struct {
		Name    string   `json:"name"`
		Role    string   `json:"role"`
		Sources []string `json:"sources"`
		Expires bodyTime `json:"expires"`
	}
	if err := decodeBody(r, &body); err != nil {
		return err
	}
	if field, given, issue := config.CheckKey(body.Name, body.Role, body.Sources); field != "" {
		return invalidField(field, given, issue)
	}
	made := &key{name: body.Name, role: roleNamed(body.Role), sources: sourceSet(body.Sources), created: r.received.UTC()}
	if body.Expires.text != "" {
		ns, err := body.Expires.parse("expires", r.received.UnixNano())
		if err != nil {
			return err
		}
		if made.expires = time.Unix(0, ns).UTC(); !made.valid(r.received) {
			return invalidField("expires", body.Expires.text, "it is not in the future")
		}
	}
	secret, err := s.keys.make(made)
	if err != nil {
		return err
	}
	s.logger.Info("a key was made", "key", made.name, "role", made.role.String(), "by", r.keyName(), "request_id", r.id)
	view := viewKey(made, r.received)
	view.Key = secret
	r.http.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	r.respondValue(fasthttp.StatusCreated, view)
	return nil
}

func (s *Server) deleteKey(r *request) error {
	if err := r.noParams(); err != nil {
		return err
	}
	name := r.pathValue("name")
	if err := s.keys.remove(name); err != nil {
		return err
	}
	s.logger.Info("a key was deleted", "key", name, "by", r.keyName(), "request_id", r.id)
	if !s.keys.Any() {
		s.logger.Warn("that was the last key: whoever reaches the server can do everything again")
	}
	r.respondValue(fasthttp.StatusOK, map[string]string{"status": "success", "name": name})
	return nil
}
