package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
)

// maxAnswer bounds what a verb reads, in octets: some million accounts.
const maxAnswer = 256 << 20

// Client asks a running server. Its errors are the server's own words, ErrNoServer, or what went wrong with asking.
type Client struct {
	path string
	http *http.Client
}

// Dial finds the server whose control socket is at path. ErrNoServer when none runs there.
func Dial(ctx context.Context, path string) (*Client, error) {
	conn, err := dial(ctx, path)
	if err != nil {
		return nil, err
	}
	if err := conn.Close(); err != nil {
		return nil, fmt.Errorf("asking the server: %w", err)
	}
	return &Client{path: path, http: &http.Client{
		Timeout: controlTime,
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dial(ctx, path)
		}},
	}}, nil
}

// Close ends the connection to the server.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// AddAccount makes an account.
func (c *Client) AddAccount(ctx context.Context, login, password, name string) error {
	return c.order(ctx, pathAdd, order{Login: login, Password: password, Name: name}, new(struct{}))
}

// SetPassword gives an account a new password.
func (c *Client) SetPassword(ctx context.Context, login, password string) error {
	return c.order(ctx, pathPassword, order{Login: login, Password: password}, new(struct{}))
}

// Set changes settings of an account, all of them or none.
func (c *Client) Set(ctx context.Context, login string, changes map[string]string) error {
	return c.order(ctx, pathSet, order{Login: login, Set: changes}, new(struct{}))
}

// RemoveAccount removes an account with all that belongs to it.
func (c *Client) RemoveAccount(ctx context.Context, login string) error {
	return c.order(ctx, pathRemove, order{Login: login}, new(struct{}))
}

// Accounts lists the accounts.
func (c *Client) Accounts(ctx context.Context) (all []Account, err error) {
	err = c.get(ctx, pathAccounts, nil, &all)
	return all, err
}

// Presence shows the presence map, of one login or, with "", of all.
func (c *Client) Presence(ctx context.Context, login string) (all []Person, err error) {
	q := url.Values{}
	if login != "" {
		q.Set("login", login)
	}
	err = c.get(ctx, pathPresence, q, &all)
	return all, err
}

// Ports shows the port map.
func (c *Client) Ports(ctx context.Context) (all []Port, err error) {
	err = c.get(ctx, pathPorts, nil, &all)
	return all, err
}

// Whois shows whose a port is, and where he was last seen.
func (c *Client) Whois(ctx context.Context, port int) (o Owner, err error) {
	err = c.get(ctx, pathWhois, url.Values{"port": {strconv.Itoa(port)}}, &o)
	return o, err
}

func (c *Client) get(ctx context.Context, path string, query url.Values, into any) error {
	u := url.URL{Scheme: "http", Host: "chmail", Path: path, RawQuery: query.Encode()}
	return c.ask(ctx, http.MethodGet, u.String(), nil, into)
}

func (c *Client) order(ctx context.Context, path string, o order, into any) error {
	body, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("writing the order: %w", err)
	}
	return c.ask(ctx, http.MethodPost, "http://chmail"+path, body, into)
}

// ask sends one request and reads the answer into a value.
func (c *Client) ask(ctx context.Context, method, address string, body []byte, into any) (err error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("asking the server: %w", err)
	}
	res, err := c.http.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // the rest names a URL that means nothing to anybody
		}
		if errors.Is(err, ErrNoServer) {
			return err
		}
		return fmt.Errorf("asking the server through %s: %w", c.path, err)
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	dec := json.NewDecoder(io.LimitReader(res.Body, maxAnswer))
	switch res.StatusCode {
	case http.StatusOK:
		err = dec.Decode(into)
	case http.StatusUnprocessableEntity:
		var t trouble
		if err = dec.Decode(&t); err == nil {
			return errors.New(t.Error)
		}
	default:
		return fmt.Errorf("the server answers %q: is it of another version than this program?", res.Status)
	}
	if err != nil {
		return fmt.Errorf("reading the server's answer: %w", err)
	}
	return nil
}
