package httpapi

import (
	"errors"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
)

func snapshotRoutes() []route {
	return []route{
		{method: fasthttp.MethodGet, path: "/admin/snapshots", about: "the snapshots of the data directory there are", role: roleAdmin,
			handler: (*Server).getSnapshots},
		{method: fasthttp.MethodPost, path: "/admin/snapshot", about: "make a consistent copy of the data directory beside it", role: roleAdmin, mutates: true,
			handler: (*Server).postSnapshot},
		{method: fasthttp.MethodDelete, path: "/admin/snapshots/{name}", about: "delete a snapshot", role: roleAdmin, mutates: true,
			handler: (*Server).deleteSnapshot},
	}
}

// snapshotView is a snapshot as the API shows it.
type snapshotView struct {
	Name    string `json:"name"`
	Path    string `json:"path"` // in the data directory
	Bytes   int64  `json:"bytes"`
	LSN     uint64 `json:"lsn"`
	Created string `json:"created"`
}

func viewSnapshot(info engine.SnapshotInfo) snapshotView {
	return snapshotView{Name: info.Name, Path: info.Path, Bytes: info.Bytes, LSN: uint64(info.LSN), Created: formatTime(info.Created.UnixNano())}
}

func (s *Server) getSnapshots(r *request) error {
	if err := r.noParams(); err != nil {
		return err
	}
	infos, err := s.db.Snapshots()
	if err != nil {
		return err
	}
	views := []snapshotView{}
	for _, info := range infos {
		views = append(views, viewSnapshot(info))
	}
	r.respondValue(fasthttp.StatusOK, map[string]any{"snapshots": views})
	return nil
}

// postSnapshot answers once the snapshot is durable. A client that goes away ends it.
func (s *Server) postSnapshot(r *request) error {
	if err := r.noParams(); err != nil {
		return err
	}
	name, err := r.snapshotName()
	if err != nil {
		return err
	}
	ctx, cancel := r.context(longestJob)
	defer cancel()
	info, err := s.db.Snapshot(ctx, name)
	switch {
	case errors.Is(err, engine.ErrSnapshotExists):
		return newError(fasthttp.StatusConflict, "There is a snapshot of that name already", detail{"name", name},
			detail{"issue", "delete it first, or choose another name"})
	case err != nil:
		return err
	}
	s.logger.Info("a snapshot was asked for", "name", name, "by", r.keyName(), "request_id", r.id)
	r.respondValue(fasthttp.StatusCreated, viewSnapshot(info))
	return nil
}

// snapshotName returns the name that the body gives, or without one the time of the request.
func (r *request) snapshotName() (string, error) {
	var body struct {
		Name *string `json:"name"`
	}
	if r.hasBody() {
		if err := decodeBody(r, &body); err != nil {
			return "", err
		}
	}
	if body.Name == nil {
		return r.received.UTC().Format("20060102T150405.000Z"), nil
	}
	if err := engine.CheckSnapshotName(*body.Name); err != nil {
		return "", invalidField("name", *body.Name, err.Error())
	}
	return *body.Name, nil
}

// hasBody reports whether the request announces a body, even if its length is not known yet.
func (r *request) hasBody() bool {
	const notGiven = -2 // neither a length nor chunks: then a request has none
	length := r.http.Request.Header.ContentLength()
	return length != 0 && length != notGiven
}

func (s *Server) deleteSnapshot(r *request) error {
	if err := r.noParams(); err != nil {
		return err
	}
	name := r.pathValue("name")
	err := s.db.DeleteSnapshot(name)
	switch {
	case errors.Is(err, engine.ErrNoSnapshot):
		return newError(fasthttp.StatusNotFound, "There is no such snapshot", detail{"name", clip(name)})
	case errors.Is(err, engine.ErrLocked):
		return newError(fasthttp.StatusConflict, "The snapshot is in use", detail{"name", name},
			detail{"issue", "a collector has it open as its data directory; stop that one first"})
	case err != nil:
		return err
	}
	s.logger.Info("a snapshot was deleted", "name", name, "by", r.keyName(), "request_id", r.id)
	r.respondValue(fasthttp.StatusOK, map[string]string{"status": "success", "name": name})
	return nil
}
