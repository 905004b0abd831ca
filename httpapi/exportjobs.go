package httpapi

import (
	"errors"
	"slices"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/internal/export"
)

func exportJobRoutes() []route {
	return []route{
		{method: fasthttp.MethodGet, path: "/export/metrics", about: "export metrics to a file", role: roleRead, mutates: true,
			handler: (*Server).getExportMetrics},
		{method: fasthttp.MethodGet, path: "/export/{id}/status", about: "how far an export to a file is", role: roleRead,
			handler: (*Server).getExportStatus},
		{method: fasthttp.MethodGet, path: "/download/{file}", about: "the file of an export", role: roleRead,
			handler: (*Server).getDownload},
	}
}

// exportView is a job as the API shows it: the seed's keys, then ours.
type exportView struct {
	ID          string   `json:"export_id"`
	Status      string   `json:"status"`
	DownloadURL string   `json:"download_url"`
	Bytes       int64    `json:"file_size_bytes"`
	Rows        int64    `json:"records_count"`
	Generated   *string  `json:"generated_at"` // null while it is processing
	Progress    float64  `json:"progress"`
	Format      string   `json:"format"`
	Metrics     []string `json:"metrics"` // null: all
	Start       string   `json:"start_date"`
	End         string   `json:"end_date"`
	Created     string   `json:"created_at"`
	Expires     *string  `json:"expires_at"`
	Failure     string   `json:"failure,omitempty"`
}

func viewExport(s export.Status) exportView {
	return exportView{
		ID: s.ID, Status: string(s.State), DownloadURL: "/download/" + s.File(), Bytes: s.Bytes, Rows: s.Rows,
		Generated: nullableTime(s.Finished), Progress: s.Progress, Format: string(s.Format), Metrics: s.Metrics,
		Start: formatTime(s.From), End: formatTime(s.To), Created: formatTime(s.Created.UnixNano()),
		Expires: nullableTime(s.Expires), Failure: s.Failure,
	}
}

// getExportMetrics answers GET /export/metrics, which begins a job. It waits a moment for it, so that a small
// one is done when the client hears of it.
func (s *Server) getExportMetrics(r *request) error {
	request, err := parseExportJob(r)
	if err != nil {
		return err
	}
	if r.http.IsHead() { // makes nothing
		r.respond(fasthttp.StatusOK, typeJSON, nil)
		return nil
	}
	jobs, err := s.exportJobs()
	if err != nil {
		return err
	}
	status, err := jobs.Start(request)
	if err != nil {
		return jobError(err)
	}
	ctx, cancel := r.context(s.options.ExportPatience)
	defer cancel()
	if status, err = jobs.Wait(ctx, status.ID); err != nil {
		return jobError(err)
	}
	code := fasthttp.StatusOK
	if status.State == export.Processing {
		code = fasthttp.StatusAccepted
	}
	r.respondValue(code, viewExport(status))
	return nil
}

func parseExportJob(r *request) (job export.JobRequest, err error) {
	p, err := parseParams(r.http.QueryArgs(), paramSet{"format": false, "metrics": true}.withRange())
	if err != nil {
		return job, err
	}
	if job.From, job.To, err = p.requiredRange(r.received.UnixNano()); err != nil {
		return job, err
	}
	if job.Format, err = p.exportFormat(export.JSON); err != nil {
		return job, err
	}
	if job.Metrics, err = p.metricNames("metrics"); err != nil {
		return job, err
	}
	if slices.Contains(job.Metrics, "all") {
		job.Metrics = nil
	}
	return job, nil
}

// getExportStatus answers GET /export/{id}/status.
func (s *Server) getExportStatus(r *request) error {
	if err := r.noParams(); err != nil {
		return err
	}
	jobs, err := s.exportJobs()
	if err != nil {
		return err
	}
	status, err := jobs.Status(r.pathValue("id"))
	if err != nil {
		return jobError(err)
	}
	r.respondValue(fasthttp.StatusOK, viewExport(status))
	return nil
}

// exportJobs returns what makes exports to files.
func (s *Server) exportJobs() (*export.Jobs, error) {
	if s.options.Exports == nil {
		return nil, jobError(export.ErrClosed)
	}
	return s.options.Exports, nil
}

// jobError is the answer to what export.Jobs refuses.
func jobError(err error) error {
	switch {
	case errors.Is(err, export.ErrUnknown):
		return newError(fasthttp.StatusNotFound, "There is no such export", detail{"issue", "it was never made, or it expired long ago"})
	case errors.Is(err, export.ErrExpired):
		return newError(fasthttp.StatusGone, "The export has expired", detail{"issue", "export the range again: GET /export/metrics"})
	case errors.Is(err, export.ErrTooMany), errors.Is(err, export.ErrKept), errors.Is(err, export.ErrMany):
		failure := newError(fasthttp.StatusTooManyRequests, "No further export can be made now", detail{"issue", err.Error()})
		if failure.retryAfter = 10; !errors.Is(err, export.ErrTooMany) {
			failure.retryAfter = int(time.Hour / time.Second)
		}
		return failure
	case errors.Is(err, export.ErrClosed):
		failure := newError(fasthttp.StatusServiceUnavailable, "Service unavailable", detail{"issue", err.Error()})
		failure.retryAfter = 10
		return failure
	}
	return err
}
