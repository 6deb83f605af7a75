package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	fresh         = 5 * time.Minute  // the issuer says max-age=300 of its keys
	staleAtMost   = time.Hour        // for which the last keys do while the issuer does not answer
	askAgainAfter = 30 * time.Second // a stranger's made-up key ids must not become requests to the issuer
	largestJWKS   = 64 << 10
)

var (
	errNoKeys     = errors.New("the issuer's keys cannot be read")
	errUnknownKey = errors.New("the token's key is not the issuer's")
)

// Keys holds the issuer's published keys. It is the oidc.KeySet that go-oidc checks signatures with: go-oidc's own one
// never forgets a key that was revoked, and asks the issuer for every unknown key id.
type Keys struct {
	issuer string
	client *http.Client

	mutex     sync.Mutex
	keys      []jose.JSONWebKey
	fetchedAt time.Time
	askedAt   time.Time
}

// VerifySignature returns the payload of a token that one of the issuer's keys signed.
func (k *Keys) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	signed, err := jose.ParseSigned(token, algorithms)
	if err != nil {
		return nil, err
	}
	key, err := k.find(ctx, signed.Signatures[0].Header)
	if err != nil {
		return nil, err
	}
	return signed.Verify(key)
}

func (k *Keys) find(ctx context.Context, header jose.Header) (*jose.JSONWebKey, error) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	key := k.lookUp(header)
	now := time.Now()
	if (key == nil || now.Sub(k.fetchedAt) > fresh) && now.Sub(k.askedAt) > askAgainAfter {
		k.askedAt = now
		if err := k.fetch(ctx); err != nil {
			fmt.Printf("%s gives no keys: %v\n", k.issuer, err)
		}
		key = k.lookUp(header)
	}
	if time.Since(k.fetchedAt) > staleAtMost {
		return nil, errNoKeys
	}
	if key == nil {
		return nil, errUnknownKey
	}
	return key, nil
}

func (k *Keys) lookUp(header jose.Header) *jose.JSONWebKey {
	for i := range k.keys {
		if key := &k.keys[i]; key.KeyID == header.KeyID && key.Algorithm == header.Algorithm {
			return key
		}
	}
	return nil
}

func (k *Keys) fetch(ctx context.Context) error {
	var metadata struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	if err := k.get(ctx, k.issuer+"/.well-known/oauth-authorization-server", &metadata); err != nil {
		return err
	}
	if metadata.Issuer != k.issuer { // RFC 8414 §3.3
		return errors.New("the metadata is another issuer's")
	}
	var set jose.JSONWebKeySet
	if err := k.get(ctx, metadata.JWKS, &set); err != nil {
		return err
	}
	k.keys, k.fetchedAt = set.Keys, time.Now()
	return nil
}

func (k *Keys) get(ctx context.Context, url string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := k.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return json.NewDecoder(io.LimitReader(response.Body, largestJWKS)).Decode(into)
}
