package httpapi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/flopynet/collector/engine"
)

// manyCase is many clients with filters of their own while samples are written. Series number s has the tags that
// manySeries gives it; its sample number k has the value k and the time of k milliseconds after manyStart. So every
// client knows each message it must see, in its order, to the byte.
type manyCase struct {
	Clients, Stopped, Series int
	Firehoses                int // of those that stop: they want all series
	Writers, Batch           int
	Samples                  int // of each series; 0: as Period and Rate say
	Period                   time.Duration
	Rate                     int // samples a second
	Processes                bool
}

var manyStart = time.Date(2024, 1, 15, 10, 30, 0, 0, time.UTC)

// TestLiveMany runs a small case, or with COLLECTOR_LIVE=30s one of 2,000 clients, 200 of which stop reading, and
// 100,000 samples a second for so long, with the clients in a process of their own.
func TestLiveMany(t *testing.T) {
	small := manyCase{Clients: 50, Stopped: 5, Firehoses: 2, Series: 60, Writers: 2, Batch: 300, Samples: 1000}
	if text := os.Getenv("COLLECTOR_LIVE"); text != "" {
		period, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("COLLECTOR_LIVE: %v", err)
		}
		runMany(t, manyCase{Clients: 2000, Stopped: 200, Firehoses: 2, Series: 2000, Writers: 4, Batch: 1000, Rate: 100_000, Period: period, Processes: true})
		return
	}
	runMany(t, small)
}

// TestLiveManyClients is the process of the clients.
func TestLiveManyClients(t *testing.T) {
	text := os.Getenv("COLLECTOR_LIVE_CLIENTS")
	if text == "" {
		t.Skip("it is started by TestLiveMany")
	}
	addr, encoded, _ := strings.Cut(text, " ")
	var c manyCase
	if err := json.Unmarshal([]byte(encoded), &c); err != nil {
		t.Fatal(err)
	}
	input := bufio.NewReader(os.Stdin)
	written := func() {
		fmt.Println("MANY ready")
		if _, err := input.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	report, err := json.Marshal(c.follow(t, addr, written))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("MANY report %s\n", report)
}

// manyReport is what the clients saw.
type manyReport struct {
	Updates int64 // by clients that read on
	Wanted  int64
	Late    int64 // by those that stopped, once they read again
	Dropped int64 // as these were told
	CPU     time.Duration
	Delay   []time.Duration // of probes, from their writing to their arrival: median, 99 %, greatest
}

func runMany(t *testing.T, c manyCase) {
	ts := startEngine(t, engine.Options{}, Options{})
	var report manyReport
	if c.Processes {
		report = c.inProcess(t, ts)
	} else {
		report = c.follow(t, ts.addr, func() { c.write(t, ts) })
	}
	if report.Updates != report.Wanted {
		t.Errorf("%d updates came, want %d", report.Updates, report.Wanted)
	}
	if report.Dropped == 0 {
		t.Errorf("nobody was too slow, so nothing was tried")
	}
	stats := ts.db.Stats().Watch
	t.Logf("%+v\nclients: %+v\nhub: %+v", c, report, stats)
	if stats.Overrun != 0 {
		t.Errorf("the hub was too slow for %d updates", stats.Overrun)
	}
}

// inProcess runs the clients in a process of their own.
func (c manyCase) inProcess(t *testing.T, ts *testServer) (report manyReport) {
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	clients := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLiveManyClients$", "-test.timeout=20m")
	clients.Env = append(os.Environ(), "COLLECTOR_LIVE_CLIENTS="+ts.addr+" "+string(encoded))
	clients.Stderr = os.Stderr
	input, err1 := clients.StdinPipe()
	output, err2 := clients.StdoutPipe()
	if err1 != nil || err2 != nil || clients.Start() != nil {
		t.Fatal(err1, err2)
	}
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		what, ok := strings.CutPrefix(lines.Text(), "MANY ")
		if !ok {
			t.Log(lines.Text())
			continue
		}
		if what == "ready" {
			c.write(t, ts)
			if _, err := fmt.Fprintln(input, "written"); err != nil {
				t.Fatal(err)
			}
		} else if err := json.Unmarshal([]byte(strings.TrimPrefix(what, "report ")), &report); err != nil {
			t.Fatal(err)
		}
	}
	if err := clients.Wait(); err != nil {
		t.Errorf("the clients: %v", err)
	}
	return report
}

// manySeries are the parts of series s that clients filter by.
func manySeries(s int) (name, source, host, zone string) {
	return fmt.Sprint("m", s%7), fmt.Sprint("src", s%5), fmt.Sprint("h", s), fmt.Sprint("z", s%8)
}

// manyNote makes messages long, so that those who don't read are too slow soon.
var manyNote = strings.Repeat("n", 300)

// manyMessage is the message of a sample, made without the code that is tested.
func manyMessage(dst []byte, s, k int) []byte {
	name, source, host, zone := manySeries(s)
	at := manyStart.Add(time.Duration(k) * time.Millisecond)
	layout := "2006-01-02T15:04:05.000Z"
	if k%1000 == 0 {
		layout = "2006-01-02T15:04:05Z"
	}
	return fmt.Appendf(dst, `{"type":"metric_update","source":"%s","timestamp":"%s","metric":{"name":"%s","value":%d,"unit":"u","tags":{"host":"%s","note":"%s","zone":"%s"}}}`,
		source, at.Format(layout), name, k, host, manyNote[:noteBytes(s)], zone)
}

func noteBytes(s int) int { return 10 + s%290 }

// samples is how many samples of each series are written.
func (c manyCase) samples() int {
	if c.Samples > 0 {
		return c.Samples
	}
	return int(c.Period.Seconds()*float64(c.Rate)) / c.Series
}

// write writes samples 0, 1, 2... of every series over HTTP. It fails the test if one is not acknowledged.
func (c manyCase) write(t *testing.T, ts *testServer) {
	samples := c.samples()
	var writers sync.WaitGroup
	var mu sync.Mutex
	var took []time.Duration
	begin := time.Now()
	for w := range c.Writers {
		writers.Go(func() {
			transport := &http.Transport{MaxIdleConnsPerHost: 1}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport}
			written := 0
			for k := 0; k < samples; {
				var body []byte
				body, k = c.nextBody(w, k, samples, &written)
				if c.Rate > 0 { // as many as should have been by now
					time.Sleep(time.Until(begin.Add(time.Duration(float64(written*c.Writers) / float64(c.Rate) * 1e9))))
				}
				sent := time.Now()
				if err := postOK(client, ts.url+"/metrics", body); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				took = append(took, time.Since(sent))
				mu.Unlock()
			}
		})
	}
	stop := c.writeProbes(ts)
	writers.Wait()
	elapsed := time.Since(begin)
	stop()
	t.Logf("%d samples in %v: %.0f a second; a write took %v, 99 %% less than %v, the longest %v; this process took %v of CPU",
		samples*c.Series, elapsed.Round(time.Millisecond), float64(samples*c.Series)/elapsed.Seconds(), quantile(took, 0.5), quantile(took, 0.99), quantile(took, 1), cpuTime())
}

// nextBody makes a body of samples of writer w's series, every Writers-th, from sample k on.
func (c manyCase) nextBody(w, k, samples int, written *int) ([]byte, int) {
	body := []byte(`{"metrics":[`)
	n := 0
	for ; k < samples && n < c.Batch; k++ {
		at := manyStart.UnixMilli() + int64(k)
		for s := w; s < c.Series; s += c.Writers {
			name, source, host, zone := manySeries(s)
			if n > 0 {
				body = append(body, ',')
			}
			body = fmt.Appendf(body, `{"name":"%s","source":"%s","value":%d,"timestamp":%d,"unit":"u","tags":{"host":"%s","note":"%s","zone":"%s"}}`,
				name, source, k, at, host, manyNote[:noteBytes(s)], zone)
			n++
		}
	}
	*written += n
	return append(body, "]}"...), k
}

// writeProbes writes a sample of the time it is written at, ten times a second, until stop is called.
func (c manyCase) writeProbes(ts *testServer) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for {
			body := fmt.Appendf(nil, `{"metrics":[{"name":"probe","value":1,"timestamp":%q}]}`, time.Now().UTC().Format(time.RFC3339Nano))
			if err := postOK(ts.client, ts.url+"/metrics", body); err != nil {
				ts.t.Error(err)
				return
			}
			select {
			case <-done:
				return
			case <-ticker.C:
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

func postOK(client *http.Client, url string, body []byte) error {
	response, err := client.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	var answer map[string]any
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer["status"] != "success" {
		return fmt.Errorf("the write was answered with %d %v: %w", response.StatusCode, answer, err)
	}
	return nil
}

// manyClient is one of many.
type manyClient struct {
	path, subscribe string
	series          map[string]int // that it must see, by host
	next            map[string]int // number of the sample that comes next, by host
	conn            *websocket.Conn
	buffer, want    []byte
	seen, dropped   int64
}

// manyClientOf returns client i with its filter.
func (c manyCase) manyClientOf(i int) *manyClient {
	m := &manyClient{path: "/ws/metrics", series: map[string]int{}, next: map[string]int{}}
	name, source, host, zone := manySeries(i % c.Series)
	first, second := i%c.Series, -1
	switch {
	case i < c.Firehoses:
		m.subscribe = `{"action":"subscribe","metrics":{"not":"probe"}}`
		for s := range c.Series {
			m.series[fmt.Sprint("h", s)] = s
		}
	case i%5 == 0:
		m.subscribe = fmt.Sprintf(`{"action":"subscribe","tags":{"host":%q}}`, host)
	case i%5 == 1: // the seventh after it has the same name; the one after it hasn't
		m.subscribe = fmt.Sprintf(`{"action":"subscribe","metrics":[%q,"other"],"tags":{"host":[%q,"h%d","h%d"]}}`, name, host, first+7, first+1)
		second = first + 7
	case i%5 == 2:
		m.subscribe = fmt.Sprintf(`{"action":"subscribe","sources":[%q,"other"],"tags":{"host":{"regex":"h(%d|%d|%d)"}}}`, source, first, first+5, first+1)
		second = first + 5
	case i%5 == 3:
		m.path += fmt.Sprintf("?metrics=%s,other&sources=%s&tags=host:%s,zone:%s", name, source, host, zone)
	default:
		m.subscribe = fmt.Sprintf(`{"action":"subscribe","tags":{"host":{"regex":%q},"zone":{"not":"elsewhere"}}}`, host)
	}
	if len(m.series) == 0 {
		m.series[host] = first
		if second >= 0 && second < c.Series {
			m.series[fmt.Sprint("h", second)] = second
		}
	}
	return m
}

// connect opens the WebSocket and subscribes. Those that will stop reading have little room in their sockets.
func (m *manyClient) connect(addr string, stops bool) (err error) {
	dialer := websocket.Dialer{HandshakeTimeout: hang, ReadBufferSize: 4096, NetDial: func(network, addr string) (net.Conn, error) {
		conn, err := net.Dial(network, addr)
		if err == nil && stops {
			err = conn.(*net.TCPConn).SetReadBuffer(64 << 10)
		}
		return conn, err
	}}
	if m.conn, _, err = dialer.Dial("ws://"+addr+m.path, nil); err != nil || m.subscribe == "" {
		return err
	}
	if err := m.conn.WriteMessage(websocket.TextMessage, []byte(m.subscribe)); err != nil {
		return err
	}
	_, answer, err := m.conn.ReadMessage()
	if err == nil && !bytes.HasPrefix(answer, []byte(`{"type":"subscribed"`)) {
		err = fmt.Errorf("%s: answer %s", m.subscribe, answer)
	}
	return err
}

// follow connects the clients, lets written write, and returns what the clients saw. Each but those that stop must
// see every sample of its series.
func (c manyCase) follow(t *testing.T, addr string, written func()) (report manyReport) {
	clients := make([]*manyClient, c.Clients)
	errs := make(chan error, c.Clients+1)
	gate := make(chan struct{}, 32)
	for i := range clients {
		clients[i] = c.manyClientOf(i)
		gate <- struct{}{}
		go func() {
			errs <- clients[i].connect(addr, i < c.Stopped)
			<-gate
		}()
	}
	for range clients {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	n := c.samples()
	var group sync.WaitGroup
	follow := func(m *manyClient, stopped bool) {
		group.Go(func() {
			defer func() { _ = m.conn.Close() }()
			if err := m.follow(int64(n), stopped); err != nil {
				errs <- fmt.Errorf("client %s %s: %w", m.path, m.subscribe, err)
			}
		})
	}
	for _, m := range clients[c.Stopped:] {
		follow(m, false)
	}
	delays := followProbes(t, addr)
	written()
	for _, m := range clients[:c.Stopped] {
		follow(m, true)
	}
	watchdog := time.AfterFunc(5*time.Minute, func() {
		for _, m := range clients {
			_ = m.conn.Close()
		}
	})
	group.Wait()
	watchdog.Stop()
	for close(errs); ; {
		err, more := <-errs
		if !more {
			break
		}
		t.Error(err)
	}
	for i, m := range clients {
		if i < c.Stopped {
			report.Late, report.Dropped = report.Late+m.seen, report.Dropped+m.dropped
		} else {
			report.Updates, report.Wanted = report.Updates+m.seen, report.Wanted+int64(len(m.series)*n)
		}
	}
	report.CPU, report.Delay = cpuTime(), delays()
	return report
}

// follow reads until all has come, n samples of each series.
func (m *manyClient) follow(n int64, stopped bool) error {
	for {
		if m.seen+m.dropped >= int64(len(m.series))*n {
			return m.checkEnd(n, stopped)
		}
		kind, reader, err := m.conn.NextReader()
		if err != nil || kind != websocket.TextMessage {
			return fmt.Errorf("after %d updates and %d dropped: kind %d, %w", m.seen, m.dropped, kind, err)
		}
		m.buffer = m.buffer[:0]
		for err == nil {
			m.buffer = slices.Grow(m.buffer, 512)
			var n int
			n, err = reader.Read(m.buffer[len(m.buffer):cap(m.buffer)])
			m.buffer = m.buffer[:len(m.buffer)+n]
		}
		if err := m.check(stopped); err != nil {
			return err
		}
	}
}

// check holds a message against what must come.
func (m *manyClient) check(stopped bool) error {
	if bytes.HasPrefix(m.buffer, []byte(`{"type":"lagged"`)) {
		var lagged struct{ Dropped int64 }
		if err := json.Unmarshal(m.buffer, &lagged); err != nil || !stopped || lagged.Dropped < 1 {
			return fmt.Errorf("told of a lag: %s (%w)", m.buffer, err)
		}
		m.dropped += lagged.Dropped
		return nil
	}
	_, rest, _ := bytes.Cut(m.buffer, []byte(`"host":"`))
	host, _, _ := bytes.Cut(rest, []byte(`"`))
	s, wanted := m.series[string(host)]
	k := m.next[string(host)]
	if stopped {
		_, rest, _ := bytes.Cut(m.buffer, []byte(`"value":`))
		value, _, _ := bytes.Cut(rest, []byte(`,`))
		got, err := strconv.Atoi(string(value))
		if err != nil || got < k {
			return fmt.Errorf("sample %s of %s came after %d", value, host, k-1)
		}
		k = got
	}
	if m.want = manyMessage(m.want[:0], s, k); !wanted || !bytes.Equal(m.buffer, m.want) {
		return fmt.Errorf("the message is\n%s\nwant\n%s\nof one of %v", m.buffer, m.want, m.series)
	}
	m.next[string(host)] = k + 1
	m.seen++
	return nil
}

// checkEnd: what came and what was dropped is what was written, no less and no more.
func (m *manyClient) checkEnd(n int64, stopped bool) error {
	if got := m.seen + m.dropped; got != n*int64(len(m.series)) {
		return fmt.Errorf("%d came and %d were dropped, of %d", m.seen, m.dropped, n*int64(len(m.series)))
	}
	for host := range m.series {
		if m.next[host] != int(n) && !stopped {
			return fmt.Errorf("the last of %s is %d, want %d", host, m.next[host]-1, n-1)
		}
	}
	return nil
}

// followProbes measures how late probes come, until the function it returns is called.
func followProbes(t *testing.T, addr string) (delays func() []time.Duration) {
	m := &manyClient{path: "/ws/metrics?metrics=probe"}
	if err := m.connect(addr, false); err != nil {
		t.Fatal(err)
	}
	done := make(chan []time.Duration)
	go func() {
		var all []time.Duration
		for {
			_, text, err := m.conn.ReadMessage()
			if err != nil {
				done <- []time.Duration{quantile(all, 0.5), quantile(all, 0.99), quantile(all, 1)}
				return
			}
			var update struct{ Timestamp time.Time }
			if json.Unmarshal(text, &update) == nil {
				all = append(all, time.Since(update.Timestamp))
			}
		}
	}()
	return func() []time.Duration {
		_ = m.conn.Close()
		return <-done
	}
}

func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[int(q*float64(len(all)-1))].Round(10 * time.Microsecond)
}

// cpuTime is what this process took of CPUs so far.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Round(time.Millisecond)
}
