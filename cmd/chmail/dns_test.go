package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"chmail/internal/play"
)

func TestTheWebPortTellsMailClientsAndServersHowMailIsReached(t *testing.T) {
	t.Parallel()
	p := startPlaying(t)
	get := func(method, host, path, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+play.Addr(p.ports.Web)+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	if status, text := get("GET", "autoconfig.localhost.test", "/mail/config-v1.1.xml", ""); status != http.StatusOK || !strings.Contains(text, "<port>"+play.Addr(p.ports.POP3S)[len("127.0.0.1:"):]+"</port>") {
		t.Errorf("autoconfig: %d\n%s", status, text)
	}
	if status, text := get("GET", "mta-sts.localhost.test", "/.well-known/mta-sts.txt", ""); status != http.StatusOK || !strings.HasPrefix(text, "version: STSv1\r\n") {
		t.Errorf("MTA-STS: %d\n%s", status, text)
	}
	question := "<Autodiscover><Request><EMailAddress>alice@localhost.test</EMailAddress></Request></Autodiscover>"
	if status, text := get("POST", "autodiscover.localhost.test", "/Autodiscover/Autodiscover.xml", question); status != http.StatusOK || !strings.Contains(text, "<LoginName>alice@localhost.test</LoginName>") {
		t.Errorf("autodiscover: %d\n%s", status, text)
	}
	if status, _ := get("GET", "autoconfig.localhost.test", "/desk", ""); status != http.StatusMisdirectedRequest {
		t.Errorf("the desk under a name that is for documents only: %d", status)
	}
}

// writeKey puts a private key where the server keeps those of a domain.
func writeKey(t *testing.T, data, domain, name string, key crypto.PrivateKey) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(data, "dkim", domain)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTheZoneHasTheKeysOfTheDataFolderAndThePortsOfTheConfiguration(t *testing.T) {
	t.Parallel()
	file := writeConfig(t)
	data := filepath.Join(filepath.Dir(file), "data")
	strong, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, short, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	writeKey(t, data, play.Domain, "spring.rsa.pem", strong)
	writeKey(t, data, play.Domain, "summer.ed25519.pem", short)
	if _, errs, status := chmail(t, "", "dkim", "use", play.Domain, "spring", "--force", "--config", file); status != statusDone {
		t.Fatal(errs)
	}
	out, errs, status := chmail(t, "", "dns", "print", "--config", file, "--json", "--address", "203.0.113.5")
	var zones []struct {
		Domain  string
		Records []struct{ Name, Type, Value string }
	}
	if err := json.Unmarshal([]byte(out), &zones); err != nil || status != statusDone || len(zones) != 1 {
		t.Fatalf("status %d, %v: %s%s", status, err, out, errs)
	}
	found := make(map[string]string)
	for _, r := range zones[0].Records {
		found[r.Name+" "+r.Type] += r.Value
	}
	for name, want := range map[string]string{
		"spring._domainkey.localhost.test. TXT": "v=DKIM1; k=rsa; p=MIIB", "summer._domainkey.localhost.test. TXT": "v=DKIM1; k=ed25519; p=",
		"_pop3s._tcp.localhost.test. SRV": "0 1 2995 localhost.", "localhost.test. MX": "10 localhost.", "_dmarc.localhost.test. TXT": "v=DMARC1; p=quarantine;",
	} {
		if !strings.HasPrefix(found[name], want) {
			t.Errorf("%s is %q, want %q", name, found[name], want)
		}
	}
	if out, _, status := chmail(t, "", "dns", "print", "LOCALHOST.test", "--config", file); status != statusDone || !strings.Contains(out, `"v=DKIM1; k=rsa; p=`) {
		t.Errorf("status %d: %s", status, out)
	}
	if _, errs, status := chmail(t, "", "dns", "print", "example.net", "--config", file); status != statusRefused || !strings.Contains(errs, "none of the configuration's domains") {
		t.Errorf("a domain of others: status %d, %s", status, errs)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	writeKey(t, data, play.Domain, "odd.rsa.pem", other)
	if _, errs, status := chmail(t, "", "dns", "print", "--config", file); status != statusRefused || !strings.Contains(errs, "odd.rsa.pem") {
		t.Errorf("a key that cannot sign: status %d, %s", status, errs)
	}
}

func TestTheDoctorLooksAtARunningServer(t *testing.T) {
	t.Parallel()
	p := startPlaying(t)
	var findings []struct{ State, Check, Subject, Text, Mend string }
	out, errs, _ := chmail(t, "", "doctor", "--config", p.data+"/chmail.yaml", "--resolver", "127.0.0.1:1", "--json")
	if err := json.Unmarshal([]byte(out), &findings); err != nil {
		t.Fatalf("%v: %s%s", err, out, errs)
	}
	ports, states := 0, make(map[string]string)
	for _, f := range findings {
		if f.Check == "port" && f.State == "ok" {
			ports++
		}
		states[f.Check] += f.State
	}
	if ports != 6 || states["redis"] != "ok" || states["dns"] != "skip" || states["data"] == "" || states["disk"] == "" || states["clock"] == "" {
		t.Errorf("%d ports of 6 are in order: %s", ports, out)
	}
	// Its certificate is of nobody's authority, which fails on the Internet.
	out, errs, status := chmail(t, "", "doctor", "--config", p.data+"/chmail.yaml", "--resolver", "127.0.0.1:1")
	if status != statusRefused || !strings.Contains(out, "\nfail  certificate ") || !strings.Contains(out, "\n      mend: ") || !strings.Contains(errs, " fail") {
		t.Errorf("status %d: %s%s", status, out, errs)
	}
	config := p.data + "/chmail.yaml"
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	p.stop()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "chmail.yaml"), append(text, "nonsense: 1\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, status := chmail(t, "", "doctor", "--config", filepath.Join(dir, "chmail.yaml"), "--resolver", "127.0.0.1:1"); status != statusUsage || !strings.Contains(errs, "nonsense") {
		t.Errorf("a faulty configuration: status %d, %s", status, errs)
	}
	if _, errs, status := chmail(t, "", "doctor", "--config", writeConfig(t), "--resolver", "somewhere"); status != statusUsage || !strings.Contains(errs, "no address of a resolver") {
		t.Errorf("no resolver: status %d, %s", status, errs)
	}
}

func TestTheDoctorSaysThatTheServerDoesNotRun(t *testing.T) {
	t.Parallel()
	file := writeConfig(t)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	ports := freePorts(t)
	moved := strings.NewReplacer("2587", strconv.Itoa(ports.Submission), "2465", strconv.Itoa(ports.Submissions), "2110", strconv.Itoa(ports.POP3), "2995", strconv.Itoa(ports.POP3S),
		"2525", strconv.Itoa(ports.MX), "8080", strconv.Itoa(ports.Web)).Replace(string(text))
	if err := os.WriteFile(file, []byte(moved), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _, status := chmail(t, "", "doctor", "--config", file, "--resolver", "127.0.0.1:1")
	if status != statusRefused || !strings.Contains(out, "the server does not run\n      mend: start it: chmail serve --config "+file) || !strings.Contains(out, "not there yet") {
		t.Errorf("status %d: %s", status, out)
	}
	// A backup that was put back one level too deep.
	deep := filepath.Join(filepath.Dir(file), "data", "chmail-backup")
	if err := errors.Join(os.MkdirAll(deep, 0o700), os.WriteFile(filepath.Join(deep, databaseFile), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if out, _, _ := chmail(t, "", "doctor", "--config", file, "--resolver", "127.0.0.1:1"); !strings.Contains(out, "but in "+deep+" there is one\n      mend: move what is in there up") {
		t.Errorf("a database one level too deep: %s", out)
	}
}

func TestAServerBehindAGatewayIsToldWhatItsZoneLeavesOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "chmail.yaml")
	text := "hostname: mail.example.com\ndomains: [example.com]\ndata: " + dir + "/data\ntls: {acme: {agree: true}}\nsmtp:\n  mx: {listen: [\"127.0.0.1:25\"]}\n  submission: {listen: [\"127.0.0.1:587\"]}\n" +
		"pop3: {listen: [\"[::1]:110\"]}\nchat: {url: \"https://chat.example.com\"}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, status := chmail(t, "", "dns", "print", "--config", file, "--address", "203.0.113.5")
	for _, want := range []string{"; NOTE: Mail for example.com does not come here, and no MX is printed: smtp.mx.listen is on this computer alone (127.0.0.1:25).", "(127.0.0.1:587)", "([::1]:110)", "v=spf1 a:mail.example.com ~all"} {
		if status != statusDone || !strings.Contains(out, want) {
			t.Errorf("status %d, %q is not said: %s%s", status, want, out, errs)
		}
	}
	if strings.Contains(out, " MX    10") || strings.Contains(out, "(127.0.0.1:465)") || strings.Count(out, "on this computer alone") != 3 {
		t.Errorf("more is said: %s", out)
	}
}
