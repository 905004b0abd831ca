package flopynet

// monitorSDNController adds the pollers of the SDN controller.
func (t *Testbed) monitorSDNController(p *peer) error {
	t.poll(p, "health", t.options.SDNController.Interval, t.recorder(SDNController), p.check)
	return nil
}
