package autoconfig

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"chmail/internal/address"
)

var update = flag.Bool("update", false, "write the golden files anew; look at what changed")

// example is a server as the smallest configuration makes it.
func example() Domain {
	return Domain{
		Name: "example.com", Host: "mail.example.com", STS: STSEnforce,
		POP3: Ports([]int{995}, []int{110}, 995, 110), SMTP: Ports([]int{465}, []int{587}, 465, 587),
	}
}

func alice(t *testing.T) address.Address {
	t.Helper()
	a, err := address.Parse("alice@example.com")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// golden compares a document with the one that somebody has looked at.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what it was:\n%s", name, got)
	}
}

// wellFormed reads a document to its end.
func wellFormed(t *testing.T, doc []byte) {
	t.Helper()
	for dec := xml.NewDecoder(bytes.NewReader(doc)); ; {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Errorf("not well-formed: %v\n%s", err, doc)
			return
		}
	}
}

func TestTheDocumentsAreWhatSomebodyHasLookedAt(t *testing.T) {
	t.Parallel()
	d := example()
	profile, _ := d.Apple(alice(t))
	blank, _ := d.Apple(address.Address{})
	for name, doc := range map[string][]byte{
		"thunderbird.xml": d.Thunderbird(), "outlook.xml": d.Outlook(alice(t)), "outlook-refusal.xml": OutlookRefusal(OutlookNoAddress, "This address is not served here"),
		"apple-alice.mobileconfig": profile, "apple.mobileconfig": blank,
	} {
		golden(t, name, doc)
		wellFormed(t, doc)
	}
	golden(t, "mta-sts.txt", d.STSPolicy())
}

func TestPOP3StandsFirstAndThePortsAreTheConfigured(t *testing.T) {
	t.Parallel()
	d := example()
	d.POP3, d.SMTP = Ports([]int{2995}, []int{2110}), Ports(nil, []int{2587})
	profile, ok := d.Apple(alice(t))
	if !ok {
		t.Fatal("no profile")
	}
	for name, doc := range map[string][]byte{"autoconfig": d.Thunderbird(), "autodiscover": d.Outlook(alice(t)), "profile": profile} {
		text := string(doc)
		at := func(words string) int {
			t.Helper()
			i := strings.Index(text, words)
			if i < 0 {
				t.Errorf("%s does not name %s:\n%s", name, words, text)
			}
			return i
		}
		if in, out := at("2995"), at("2587"); in > out {
			t.Errorf("%s names sending before fetching", name)
		}
		for _, no := range []string{"465", ">995<", "imap", "IMAP"} {
			if strings.Contains(text, no) {
				t.Errorf("%s names %s, which nobody listens on", name, no)
			}
		}
	}
}

func TestTLSFromTheFirstOctetIsPreferredAndTheUsualPortBeforeAnother(t *testing.T) {
	t.Parallel()
	got := Ports([]int{9995, 995, 995}, []int{110}, 995, 110)
	want := []Port{{995, true}, {9995, true}, {110, false}}
	if len(got) != len(want) {
		t.Fatalf("%v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

func TestWithoutPortsToFetchOrSendByThereIsNoProfile(t *testing.T) {
	t.Parallel()
	d := example()
	d.POP3 = nil
	if _, ok := d.Apple(alice(t)); ok {
		t.Error("a profile without a port for incoming mail")
	}
}

func TestAProfileThatIsInstalledAgainTakesThePlaceOfTheFirst(t *testing.T) {
	t.Parallel()
	uuid := regexp.MustCompile(`<key>PayloadUUID</key>\s*<string>([^<]+)`)
	all := func(a address.Address) string {
		doc, _ := example().Apple(a)
		var b strings.Builder
		for _, m := range uuid.FindAllSubmatch(doc, -1) {
			if !regexp.MustCompile(`^[0-9A-F]{8}-[0-9A-F]{4}-5[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$`).Match(m[1]) {
				t.Errorf("%s is no UUID of version 5", m[1])
			}
			b.Write(m[1])
			b.WriteByte(' ')
		}
		return b.String()
	}
	ids := strings.Fields(all(alice(t)))
	if len(ids) != 2 || ids[0] == ids[1] {
		t.Errorf("the profile's and the account's are %v", ids)
	}
	if again := all(alice(t)); again != strings.Join(ids, " ")+" " || again == all(address.Address{}) {
		t.Error("the UUIDs are not those of domain and address alone")
	}
}

func TestTheNameOfAPolicyChangesWithIt(t *testing.T) {
	t.Parallel()
	one, two := example(), example()
	two.STS = STSTesting
	if one.STSID() == two.STSID() || one.STSID() != example().STSID() {
		t.Errorf("ids %s and %s", one.STSID(), two.STSID())
	}
	if !regexp.MustCompile(`^[a-zA-Z0-9]{1,32}$`).MatchString(one.STSID()) { // RFC 8461 3.1
		t.Errorf("the id is %q", one.STSID())
	}
}

func TestNamesThatMeanSomethingInXMLAreWords(t *testing.T) {
	t.Parallel()
	a, err := address.New(`a<&">b`, "example.com")
	if err != nil {
		t.Fatal(err)
	}
	profile, _ := example().Apple(a)
	for _, doc := range [][]byte{profile, example().Outlook(a)} {
		wellFormed(t, doc)
		if bytes.Contains(doc, []byte("a<&")) {
			t.Errorf("an address has become markup:\n%s", doc)
		}
	}
}

const question = `<?xml version="1.0" encoding="utf-8"?>
<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006">
  <Request>
    <EMailAddress>Alice@EXAMPLE.com</EMailAddress>
    <AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema>
  </Request>
</Autodiscover>`

// ask sends a request to whoever answers for that host; 0 where nobody does.
func ask(method, host, path, body string) (status int, header http.Header, text string) {
	h := Documents{Domains: []Domain{example(), {Name: "example.org", Host: "mail.example.com", STS: STSTesting}}, Chat: "chat.example.com"}.Find(host, strings.SplitN(path, "?", 2)[0])
	if h == nil {
		return 0, nil, ""
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, "https://"+host+path, strings.NewReader(body)))
	return w.Code, w.Result().Header, w.Body.String()
}

func TestEachDocumentLiesWhereItsReadersLook(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ method, host, path, kind, says string }{
		{"GET", "mta-sts.example.com", "/.well-known/mta-sts.txt", "text/plain; charset=utf-8", "mode: enforce"},
		{"GET", "mta-sts.example.org", "/.well-known/mta-sts.txt", "text/plain; charset=utf-8", "mode: testing"},
		{"GET", "autoconfig.example.com", "/mail/config-v1.1.xml?emailaddress=alice%40example.com", "text/xml; charset=utf-8", `id="example.com"`},
		{"GET", "autoconfig.example.org", "/.well-known/autoconfig/mail/config-v1.1.xml", "text/xml; charset=utf-8", `id="example.org"`},
		{"GET", "example.com", "/.well-known/autoconfig/mail/config-v1.1.xml", "text/xml; charset=utf-8", `id="example.com"`},
		{"GET", "autoconfig.example.com", "/mail/apple.mobileconfig?address=alice@example.com", "application/x-apple-aspen-config", "EmailTypePOP"},
		{"POST", "autodiscover.example.com", "/autodiscover/autodiscover.xml", "text/xml; charset=utf-8", "<LoginName>Alice@example.com</LoginName>"},
		{"POST", "example.com", "/Autodiscover/Autodiscover.xml", "text/xml; charset=utf-8", "<Type>POP3</Type>"},
		{"POST", "chat.example.com", "/AUTODISCOVER/autodiscover.XML", "text/xml; charset=utf-8", "<Type>SMTP</Type>"},
	} {
		status, header, text := ask(c.method, c.host, c.path, question)
		if status != http.StatusOK || header.Get("Content-Type") != c.kind || !strings.Contains(text, c.says) {
			t.Errorf("%s https://%s%s: %d %s\n%s", c.method, c.host, c.path, status, header.Get("Content-Type"), text)
		}
	}
	if _, header, _ := ask("GET", "autoconfig.example.com", "/mail/apple.mobileconfig", ""); header.Get("Content-Disposition") != `attachment; filename="example.com.mobileconfig"` {
		t.Errorf("the profile is shown, not saved: %v", header)
	}
}

func TestOtherHostsAndPathsAreNobodysHere(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{"mta-sts.example.net", STSPath}, {"example.com", STSPath}, {"evil-mta-sts.example.com", STSPath}, {"mta-sts.evil.example.com", STSPath}, {"autoconfig.example.com", STSPath},
		{"mta-sts.example.com", "/"}, {"mta-sts.example.com", ThunderbirdPath}, {"autoconfig.example.com", "/"}, {"autoconfig.example.com", "/desk"}, {"example.com", "/"}, {"example.com", ThunderbirdPath},
		{"example.com", ApplePath}, {"www.example.com", OutlookPath}, {"autodiscover.example.net", OutlookPath}, {"autodiscover.chat.example.com", OutlookPath}, {"", OutlookPath}, {"", STSPath},
		{"chat.example.com", ThunderbirdPath2}, {"autodiscover.autodiscover.example.com", OutlookPath},
	} {
		if status, _, text := ask("GET", c[0], c[1], ""); status != 0 {
			t.Errorf("https://%s%s is answered: %d %s", c[0], c[1], status, text)
		}
	}
}

func TestDocumentsAreAskedForInOneWay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ method, host, path, allow string }{
		{"POST", "mta-sts.example.com", STSPath, "GET, HEAD"}, {"DELETE", "autoconfig.example.com", ThunderbirdPath, "GET, HEAD"},
		{"PUT", "autoconfig.example.com", ApplePath, "GET, HEAD"}, {"GET", "autodiscover.example.com", OutlookPath, "POST"},
	} {
		if status, header, _ := ask(c.method, c.host, c.path, ""); status != http.StatusMethodNotAllowed || header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %d, Allow %q", c.method, c.path, status, header.Get("Allow"))
		}
	}
}

func TestAProfileIsMadeForAddressesOfItsDomainOnly(t *testing.T) {
	t.Parallel()
	for _, a := range []string{"alice@example.org", "alice", "alice@evil.example.com", "%0d%0aalice@example.com", "a%00@example.com"} {
		if status, _, text := ask("GET", "autoconfig.example.com", ApplePath+"?address="+a, ""); status != http.StatusBadRequest || strings.Contains(text, "plist") {
			t.Errorf("%s: %d %s", a, status, text)
		}
	}
	if status, _, _ := ask("GET", "autoconfig.example.org", ApplePath, ""); status != http.StatusNotFound {
		t.Errorf("a profile of a domain without ports: %d", status)
	}
}

func TestAQuestionWithoutAnAnswerIsToldWhy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ body, code string }{
		{"", "600"}, {"not XML", "600"}, {"<Autodiscover><Request/></Autodiscover>", "600"}, {`<!DOCTYPE x [<!ENTITY a "b">]>` + strings.Replace(question, "Alice@", "&a;@", 1), "600"},
		{question + strings.Repeat(" ", MaxQuestion), "600"},
		{strings.Replace(question, "EXAMPLE.com", "example.net", 1), "500"}, {strings.Replace(question, "responseschema", "mobilesync/responseschema", 1), "601"},
	} {
		status, _, text := ask("POST", "autodiscover.example.com", OutlookPath, c.body)
		wellFormed(t, []byte(text))
		if status != http.StatusOK || !strings.Contains(text, "<ErrorCode>"+c.code+"</ErrorCode>") || strings.Contains(text, "<Server>") {
			t.Errorf("%.60q: %d, want error %s:\n%s", c.body, status, c.code, text)
		}
	}
}

// FuzzReadQuestion holds that whatever is posted gives an answer that is well-formed, and that only an address can be asked for.
func FuzzReadQuestion(f *testing.F) {
	f.Add(question)
	f.Add(`<Autodiscover><Request><LegacyDN>"a b"@example.com</LegacyDN></Request></Autodiscover>`)
	f.Add(`<?xml version="1.0" encoding="utf-16"?><Autodiscover/>`)
	f.Fuzz(func(t *testing.T, body string) {
		q, err := ReadQuestion(strings.NewReader(body))
		if err != nil {
			return
		}
		if again, err := address.Parse(q.Address.String()); err != nil || again != q.Address {
			t.Errorf("%q is taken for an address: %v", q.Address, err)
		}
		wellFormed(t, example().Outlook(q.Address))
	})
}
