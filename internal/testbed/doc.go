// Package testbed simulates FLOPY-NET's FL server, policy engine and SDN controller, and the FL clients, for tests
// and for the demonstration. A Testbed is one scenario with three HTTP servers on it, which answer as the real
// components do: their paths, names, types, and oddities.
//
// # The scenario
//
// An FL server trains one model in rounds with clients that sit behind switches, and asks the policy engine
// before it does anything. All follows from Options.Seed and the time that has passed: nothing sleeps. Whoever
// asks a component something first brings the scenario up to Options.Now, whose steps have exact times of their
// own, whole microseconds, however late and however often anybody asks. So a test steps a clock, and a program
// passes none and sees it live.
//
// A round begins RoundEvery after the one before began, or later if that one lasted longer:
//
//	server  fl_client_training   denied in one round: the training pauses for half of RoundEvery
//	server  fl_client_selection  which no policy covers: an event, but no decision
//	        ROUND_STARTED
//	client  fl_client_training   denied: this client takes no part in this round
//	client  downloads the model, trains (a straggler twice as long or more), uploads it
//	        its measurement is pushed to the collector
//	        AGGREGATION_COMPLETED, when the last has uploaded
//	client  fl_client_evaluation, downloads, evaluates
//	        EVALUATION_COMPLETED, ROUND_COMPLETED, and the row of /rounds: at one instant, give or take 90 µs
//	server  fl_server_control    decides about the next round
//
// Accuracy rises and loss falls, with noise; the round's are the means of its clients', by their examples. With
// three clients or more the last joins in the first third, the second drops out in the middle of a round, which
// then counts a failure, and comes back; the first straggles once and is denied once. More of all this happens
// at random. At two fifths of the rounds a policy is updated, so the version rises. After the last round the
// server stays up and asks every minute whether it may.
//
// The switches form a star: the servers (192.168.100.10 FL, .20 policy, .40 collector, .41 controller) are on the
// first, the clients (.101, .102, ...) on the others in turn. Each model that moves is a transfer, which grows the
// counters of all ports and flows on its way, evenly over its time; the requests to the policy engine and the
// OpenFlow sessions are transfers too. What goes into a switch comes out of it, or a flow drops it: a denied
// client tries three packets, which the drop flow at its switch counts. Flows that nothing has used for three
// rounds are removed. A client's host and port come and go with it.
//
// # Restarts and failures
//
// FL.Restart keeps the rounds, as SQLite does; events, counters and current_round begin anew. Policy.Restart
// keeps the version only. SDN.Restart keeps flows and counters, which are the switches'; the keys in /stats/flows
// change, since they hold a hash that Python salts. SDN.RestartSwitches sets the counters back. FL.Train starts
// a training whose rounds begin at 1 and replace the old rows, and with Options.Rest one follows the other. A restart
// takes no time, and the training goes on.
// FL.Stop has the policy engine stop a training after the round, FL.Resume goes on with it.
//
// A component with a Failure goes on working; what it answers is ill. All that a component has ever
// produced, also what a restart or a bounded buffer has lost, is told by the accessors of Testbed.
//
// # Oddities
//
// These are FLOPY-NET's own, and no mistakes here:
//
//   - current_round is the last round that was aggregated, and 0 after a restart of the process; server_status is
//     "ready" after the last round; rounds_history is empty.
//   - last_event_id is the newest of the buffer, not of the page; an id that the buffer no longer has replays it all.
//   - FL events have event_id, event_type, and times as ISO 8601; policy events have id, type, and seconds.
//   - The details of a denied check are a summary, cut from the middle of a Python dict.
//   - /api/v1/policy_metrics has hours that begin at start_time, so the same hour has other figures for another start.
//   - A dpid is hexadecimal text in switches and hosts, a number in links, read as hexadecimal in the paths
//     /stats/port/ and /stats/flowentry/, whose answers have it as it was given and in decimal.
//   - A flow younger than two seconds has no counts. One that the switch has removed stays in /stats/flows with its
//     last counts. One that was there before the controller has table_id and instructions in place of actions.
//   - flows_created counts the flows that the controller found on the switches, not those it made.
//
// Two things are tidier than there. Ids of decisions never collide. And the FL server says training_complete at the
// end, which FLOPY-NET's has as a field but never sets.
//
// # Control over HTTP
//
// Testbed.ControlURL is a server of its own, so that it answers while a component is down:
//
//	GET  /                                      the components, their URLs and failures
//	POST /fl/fail?mode=hang&for=60s             policy and sdn too; also path=/events: only requests whose path begins so,
//	                                            and shape, drip_every, retry_after and bytes: see Failure
//	POST /fl/heal
//	POST /policy/restart                        sdn too; sdn takes switches=true
//	POST /fl/train
//	POST /fl/stop?reason=...                    the policy engine denies the next round
//	POST /fl/resume                             and allows it after all
package testbed
