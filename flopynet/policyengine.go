package flopynet

// monitorPolicyEngine adds the pollers of the policy engine.
func (t *Testbed) monitorPolicyEngine(p *peer) error {
	t.poll(p, "health", t.options.PolicyEngine.Interval, t.recorder(PolicyEngine), p.check)
	return nil
}
