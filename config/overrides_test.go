package config

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestEverySettingHasAFlagAndAVariable derives, by the rule in doc.go, the names that each key of the
// file must have as a flag and in the environment. Lists of sections stand in the file alone, but for keys.
func TestEverySettingHasAFlagAndAVariable(t *testing.T) {
	want := map[string]string{"api-key": "COLLECTOR_API_KEYS"}
	collectKeys(reflect.TypeFor[Config](), "", func(key string) {
		flag := strings.NewReplacer(".", "-", "_", "-").Replace(key)
		want[flag] = EnvPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
	})
	got := map[string]string{}
	eachFlag(reflect.TypeFor[Overrides](), "", "", func(flag, variable string) { got[flag] = variable })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("flags and variables, -want +got:\n%s", diff)
	}
}

func collectKeys(section reflect.Type, prefix string, visit func(key string)) {
	for field := range section.Fields() {
		key := prefix + field.Tag.Get("yaml")
		switch {
		case field.Type.Kind() == reflect.Struct:
			collectKeys(field.Type, key+".", visit)
		case !isListOfSections(field.Type):
			visit(key)
		}
	}
}

func TestApplySetsEverySetting(t *testing.T) {
	var (
		yes      = true
		text     = "text"
		number   = 7
		large    = int64(8)
		rate     = 2.5
		duration = 9 * time.Second
		age      = Age(10 * time.Hour)
		secret   = Secret("secret")
	)
	var got Config
	Overrides{
		Listen: []string{"a:1"}, AllowedHosts: []string{"b"}, Insecure: &yes,
		APIKeys: []APIKey{{Name: "k"}}, Username: &text, Password: &secret,
		TrustedProxies: []string{"p"}, TLSCert: &text, TLSKey: &text, AllowedOrigins: []string{"o"}, RateReads: &number, RateWrites: &number, RateWindow: &duration,
		LogAccess: &yes, SlowQuery: &duration, DataDir: &text, SelfMetrics: &yes, LogLevel: &text, WALSync: &text,
		SyncInterval: &duration, RetentionDays: &number, Retention5m: &age, Retention1h: &age, EventRetention: &age, MaxSeries: &number, MaxNewSeries: &number,
		QueryTimeout: &duration, QuerySamples: &large, QueryMemory: &large, QueriesMemory: &large,
		MinFreeBytes: &large, QueryBytes: &large, BufferSize: &number,
		FlushInterval: &duration, WorkerThreads: &number, ExportsMax: &large, ExportsKeep: &duration, Compression: &yes, BatchSize: &number, Webhooks: []string{"w"},
		Alerting: &yes, AlertQueue: &large, AlertRate: &rate,
		Flopynet: FlopynetFlags{
			FLServer:      PeerFlags{URL: &text, Enabled: &yes, Interval: &duration, Timeout: &duration},
			PolicyEngine:  PeerFlags{URL: &text, Enabled: &yes, Interval: &duration, Timeout: &duration},
			SDNController: PeerFlags{URL: &text, Enabled: &yes, Interval: &duration, Timeout: &duration},
			Events:        EventFlags{Enabled: &yes, Interval: &duration},
			NodeIPs:       []string{"n"}, SwitchNames: []string{"s"}, LinkCapacity: &large, TrainingMode: &text, CheckPolicy: &yes, StrictPolicy: &yes,
		},
	}.Apply(&got)
	want := Config{
		Listen: []string{"a:1"}, AllowedHosts: []string{"b"}, Insecure: true,
		Auth:           Auth{Keys: []APIKey{{Name: "k"}}, Username: "text", Password: "secret"},
		TrustedProxies: []string{"p"}, TLS: TLS{Cert: "text", Key: "text"}, CORS: CORS{AllowedOrigins: []string{"o"}},
		RateLimit: RateLimit{Reads: 7, Writes: 7, Window: duration},
		DataDir:   "text", SelfMetrics: true, Log: Log{Level: "text", Access: true, SlowQuery: duration},
		WAL:        WAL{Sync: "text", SyncInterval: duration},
		Storage:    Storage{RetentionDays: 7, Retention5m: age, Retention1h: age, RetentionEvents: age, MaxSeries: 7, MaxNewSeriesPerMinute: 7, CompressionEnabled: true, BatchSize: 7, MinFreeBytes: 8},
		Cache:      Cache{QueryBytes: 8},
		Query:      Query{Timeout: duration, MaxSamples: 8, MaxBytes: 8, MaxTotalBytes: 8},
		Processing: Processing{BufferSize: 7, FlushInterval: duration, WorkerThreads: 7},
		Exports:    Exports{MaxBytes: 8, Keep: duration},
		Alerting:   Alerting{Enabled: true, Thresholds: Thresholds{QueueSize: &large, IngestionRate: &rate}},
		Webhooks:   Webhooks{Allowed: []string{"w"}},
		Flopynet: Flopynet{
			FLServer:      Peer{URL: "text", Enabled: true, Interval: duration, Timeout: duration},
			PolicyEngine:  Peer{URL: "text", Enabled: true, Interval: duration, Timeout: duration},
			SDNController: Peer{URL: "text", Enabled: true, Interval: duration, Timeout: duration},
			Events:        PeerEvents{Enabled: true, Interval: duration},
			NodeIPs:       []string{"n"}, SwitchNames: []string{"s"}, LinkCapacityBps: 8, TrainingMode: "text", CheckPolicy: true, StrictPolicy: true,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestUnknownEnvironment(t *testing.T) {
	got := UnknownEnvironment([]string{"PATH=/bin", "COLLECTOR_WAL_SYNC=off", "COLLECTOR_CONFIG=x", "COLLECTOR_PORT=8000", "COLLECTOR_IP=40", "COLLECTOR_WAL_SNYC=off", "COLLECTOR_=", "XCOLLECTOR_A=b"})
	if diff := cmp.Diff([]string{"COLLECTOR_WAL_SNYC", "COLLECTOR_"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
