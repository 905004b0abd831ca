package flopynet

// monitorFLServer adds the pollers of the FL server.
func (t *Testbed) monitorFLServer(p *peer) error {
	t.poll(p, "health", t.options.FLServer.Interval, t.recorder(FLServer), p.check)
	return nil
}
