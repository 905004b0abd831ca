package config

import "time"

// FlopynetFlags are the flags and variables of the section flopynet; nil means not given. The command line's parser
// puts the prefixes of its tags before the names.
type FlopynetFlags struct {
	FLServer      PeerFlags  `embed:"" prefix:"fl-server-" envprefix:"FL_SERVER_" set:"peer=FLOPY-NET's FL server" set:"example=http://192.168.100.10:8081"`                //nolint:staticcheck // the parser takes the tag set several times
	PolicyEngine  PeerFlags  `embed:"" prefix:"policy-engine-" envprefix:"POLICY_ENGINE_" set:"peer=FLOPY-NET's policy engine" set:"example=http://192.168.100.20:5000"`    //nolint:staticcheck // the parser takes the tag set several times
	SDNController PeerFlags  `embed:"" prefix:"sdn-controller-" envprefix:"SDN_CONTROLLER_" set:"peer=FLOPY-NET's SDN controller" set:"example=http://192.168.100.41:8181"` //nolint:staticcheck // the parser takes the tag set several times
	Events        EventFlags `embed:"" prefix:"events-" envprefix:"EVENTS_"`
	NodeIPs       []string   `name:"node-ips" env:"NODE_IPS" placeholder:"NAME=ADDRESS" help:"Machine of the testbed, such as fl-client-1=192.168.100.101; may be repeated."`
	SwitchNames   []string   `name:"switch-names" env:"SWITCH_NAMES" placeholder:"DPID=NAME" help:"Name of a switch, such as 1=core or 0x1a=edge; may be repeated."`
	LinkCapacity  *int64     `name:"link-capacity-bps" env:"LINK_CAPACITY_BPS" placeholder:"BITS" help:"Bits a second that a link of the testbed carries, for its utilization; 0 is not known (default 0)."`
	TrainingMode  *string    `name:"training-mode" env:"TRAINING_MODE" placeholder:"MODE" help:"The testbed's training mode, which is shown and changes nothing (default production)."`
	CheckPolicy   *bool      `name:"check-policy" env:"CHECK_POLICY" help:"Ask the policy engine, at the start and with each poll of it, whether metrics may be collected (default true; turn off with --flopynet-check-policy=false)."`
	StrictPolicy  *bool      `name:"strict-policy" env:"STRICT_POLICY" help:"Take a failure of that check for a no (default false)."`
}

// PeerFlags are those of a Peer.
type PeerFlags struct {
	URL      *string        `name:"url" env:"URL" placeholder:"URL" help:"Address of ${peer}, such as ${example}; without one it isn't polled."`
	Enabled  *bool          `name:"enabled" env:"ENABLED" help:"Poll ${peer} (default true)."`
	Interval *time.Duration `name:"interval" env:"INTERVAL" placeholder:"DURATION" help:"How often ${peer} is polled (default 5s)."`
	Timeout  *time.Duration `name:"timeout" env:"TIMEOUT" placeholder:"DURATION" help:"Longest time of a request to ${peer} (default 5s)."`
}

// EventFlags are those of PeerEvents.
type EventFlags struct {
	Enabled  *bool          `name:"enabled" env:"ENABLED" help:"Poll the events of FL server and policy engine (default true)."`
	Interval *time.Duration `name:"interval" env:"INTERVAL" placeholder:"DURATION" help:"How often they are polled (default 5s)."`
}

func (o FlopynetFlags) apply(f *Flopynet) {
	o.FLServer.apply(&f.FLServer)
	o.PolicyEngine.apply(&f.PolicyEngine)
	o.SDNController.apply(&f.SDNController)
	replace(&f.Events.Enabled, o.Events.Enabled)
	replace(&f.Events.Interval, o.Events.Interval)
	if o.NodeIPs != nil {
		f.NodeIPs = o.NodeIPs
	}
	if o.SwitchNames != nil {
		f.SwitchNames = o.SwitchNames
	}
	replace(&f.LinkCapacityBps, o.LinkCapacity)
	replace(&f.TrainingMode, o.TrainingMode)
	replace(&f.CheckPolicy, o.CheckPolicy)
	replace(&f.StrictPolicy, o.StrictPolicy)
}

func (o PeerFlags) apply(p *Peer) {
	replace(&p.URL, o.URL)
	replace(&p.Enabled, o.Enabled)
	replace(&p.Interval, o.Interval)
	replace(&p.Timeout, o.Timeout)
}
