package netutil

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func mustAddrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// writeCertificate makes a certificate with a serial number in dir and returns its two files.
func writeCertificate(t testing.TB, dir string, serial int64) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{"mail.test"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(100 * 365 * 24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func serverTLS(t testing.TB) *tls.Config {
	t.Helper()
	c, err := LoadCertificate(writeCertificate(t, t.TempDir(), 1))
	if err != nil {
		t.Fatal(err)
	}
	return TLSConfig(c.GetCertificate, true)
}

// trusting is a client that takes any certificate: these tests are not about whom it talks to.
func trusting() *tls.Config { return &tls.Config{InsecureSkipVerify: true, ServerName: "mail.test"} }

func TestAConnectionChangesToTLSInPlace(t *testing.T) {
	t.Parallel()
	cfg := serverTLS(t)
	c, client := pair(t, Limits{Handshake: time.Minute, Idle: time.Minute})
	if _, ok := c.TLS(); ok {
		t.Error("plaintext is called TLS")
	}
	done := make(chan error)
	go func() {
		if _, err := c.ReadLine(100); err != nil {
			done <- err
			return
		}
		c.WriteString("220 go ahead\r\n")
		if err := c.StartTLS(context.Background(), cfg); err != nil {
			done <- err
			return
		}
		line, err := c.ReadLine(100)
		c.Write(line)
		done <- errors.Join(err, c.Close())
	}()
	say(t, client, "STARTTLS\r\n")
	hears(t, client, "220 go ahead\r\n")
	secure := tls.Client(client, trusting())
	say(t, secure, "EHLO me\r\n")
	if b, err := io.ReadAll(secure); string(b) != "EHLO me\r\n" || err != nil {
		t.Errorf("under TLS: %q, %v", b, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if state, ok := c.TLS(); !ok || state.Version != tls.VersionTLS13 {
		t.Errorf("state %v, %v", state.Version, ok)
	}
}

func TestWhoSendsWhatIsNoTLSIsGone(t *testing.T) {
	t.Parallel()
	for name, record := range map[string]string{
		"plaintext":                "MAIL FROM:<a@b.test>\r\n",
		"a record that was forged": "\x17\x03\x03\x00\x20" + strings.Repeat("x", 32),
	} {
		cfg := serverTLS(t)
		c, client := pair(t, Limits{Idle: time.Minute})
		go func() {
			secure := tls.Client(client, trusting())
			if err := secure.Handshake(); err != nil {
				t.Error(err)
			}
			if _, err := io.WriteString(client, record); err != nil {
				t.Error(err)
			}
			_, _ = io.Copy(io.Discard, client) // the alert
		}()
		if err := c.AcceptTLS(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		if _, err := c.ReadLine(100); err == nil || !IsGone(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPlaintextBehindSTARTTLSIsAnError(t *testing.T) {
	t.Parallel()
	c, client := pair(t, Limits{})
	go say(t, client, "STARTTLS\r\nRCPT TO:<injected@x.test>\r\n")
	if _, err := c.ReadLine(100); err != nil {
		t.Fatal(err)
	}
	c.WriteString("220 go ahead\r\n")
	if err := c.StartTLS(context.Background(), serverTLS(t)); err != ErrPlaintext {
		t.Errorf("got %v", err)
	}
	if c.Out() != 0 {
		t.Error("the go-ahead was sent")
	}
}

func TestAPeekedClientHelloBelongsToTheHandshake(t *testing.T) {
	t.Parallel()
	cfg := serverTLS(t)
	c, client := pair(t, Limits{NoEOF: true})
	go func() {
		secure := tls.Client(client, trusting())
		say(t, secure, "hello\r\n")
		client.Close() // without close_notify
	}()
	if b, err := c.Peek(1); err != nil || b[0] != 0x16 {
		t.Fatalf("peeked %x, %v", b, err)
	}
	if err := c.AcceptTLS(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	if line, err := c.ReadLine(100); string(line) != "hello\r\n" {
		t.Errorf("under TLS: %q, %v", line, err)
	}
	if _, err := c.ReadLine(100); err != io.ErrUnexpectedEOF {
		t.Errorf("a connection cut off under TLS: %v", err)
	}
}

func TestAStalledHandshakeEnds(t *testing.T) {
	t.Parallel()
	cfg := serverTLS(t)
	synctest.Test(t, func(t *testing.T) {
		c, _ := pair(t, Limits{Handshake: 10 * time.Second})
		began := time.Now()
		if err := c.AcceptTLS(context.Background(), cfg); !errors.Is(err, ErrIdle) || time.Since(began) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, ErrIdle) {
			t.Errorf("reading went on: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c, _ := pair(t, Limits{Handshake: time.Hour})
		go func() {
			time.Sleep(time.Second)
			c.Interrupt()
		}()
		if err := c.AcceptTLS(context.Background(), cfg); err == nil {
			t.Error("a stop did not end the handshake")
		}
	})
}

func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	cfg := serverTLS(t)
	c, client := pair(t, Limits{})
	go func() {
		old := trusting()
		old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
		tls.Client(client, old).Handshake()
		client.Close()
	}()
	if err := c.AcceptTLS(context.Background(), cfg); err == nil {
		t.Error("TLS 1.1 was spoken")
	}
	if TLSConfig(nil, false).SessionTicketsDisabled != true || cfg.SessionTicketsDisabled {
		t.Error("the switch for session tickets does not work")
	}
}

func TestACertificateFollowsItsFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := LoadCertificate(filepath.Join(dir, "none.pem"), filepath.Join(dir, "none.key")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing files: %v", err)
	}
	cert, key := writeCertificate(t, dir, 1)
	serial := func(c *Certificate) int64 {
		got, err := c.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return got.Leaf.SerialNumber.Int64()
	}
	synctest.Test(t, func(t *testing.T) {
		c, err := LoadCertificate(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		c.Log = slog.New(slog.NewTextHandler(&log, nil))
		told := func(words string) {
			t.Helper()
			if !strings.Contains(log.String(), words) || strings.Count(log.String(), "\n") != 1 {
				t.Errorf("%q is not what is told: %s", words, &log)
			}
			log.Reset()
		}
		writeCertificate(t, dir, 22)
		if got := serial(c); got != 1 {
			t.Errorf("looked at the files at once: %d", got)
		}
		time.Sleep(certificateAge)
		if got := serial(c); got != 22 {
			t.Errorf("serial %d after the files changed", got)
		}
		told(`level=INFO msg="certificate reloaded"`)
		if err := os.WriteFile(key, []byte("half a ke"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(certificateAge)
		if got := serial(c); got != 22 {
			t.Errorf("serial %d with a broken key", got)
		}
		told("level=ERROR")
		writeCertificate(t, dir, 333)
		time.Sleep(certificateAge)
		if got := serial(c); got != 333 {
			t.Errorf("serial %d after the key was mended", got)
		}
	})
}

func BenchmarkPingPong(b *testing.B) {
	for name, cfg := range map[string]*tls.Config{"plain": nil, "tls": serverTLS(b)} {
		b.Run(name, func(b *testing.B) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			s := NewServer(ServerOptions{Limits: Limits{Idle: time.Minute, Write: time.Minute, Life: time.Hour}, Handler: func(ctx context.Context, c *Conn) {
				if cfg != nil && c.AcceptTLS(ctx, cfg) != nil {
					return
				}
				for {
					line, err := c.ReadLine(1000)
					if err != nil {
						return
					}
					c.Write(line)
				}
			}})
			go s.Serve(ln)
			defer s.Shutdown(context.Background())
			var client net.Conn
			if client, err = net.Dial("tcp", ln.Addr().String()); err != nil {
				b.Fatal(err)
			}
			defer client.Close()
			if cfg != nil {
				client = tls.Client(client, trusting())
			}
			line := []byte("RCPT TO:<somebody@example.com>\r\n")
			got := make([]byte, len(line))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.Write(line); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(client, got); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestWhatRunsApartHandsBackItsErrorAndItsPanic(t *testing.T) {
	t.Parallel()
	full := errors.New("full")
	if err := Apart(func() error { return full }); err != full {
		t.Errorf("the error: %v", err)
	}
	defer func() {
		if p := fmt.Sprint(recover()); !strings.Contains(p, "no hands") || !strings.Contains(p, "tls_test.go") {
			t.Errorf("the panic: %s", p)
		}
	}()
	_ = Apart(func() error { panic("no hands") })
	t.Error("the panic was swallowed")
}
