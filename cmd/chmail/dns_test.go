package main

import (
	"io"
	"net/http"
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
