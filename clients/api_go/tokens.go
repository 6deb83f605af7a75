package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

var algorithms = []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.PS256, jose.EdDSA}

// Token is what a valid access token says (RFC 9068 §2.2).
type Token struct {
	Subject  string
	Expiry   time.Time
	ClientID string `json:"client_id"`
	Scope    string `json:"scope"`
	ID       string `json:"jti"`

	// A token with this is worth nothing without a proof of its key (RFC 9449, RFC 8705).
	Confirmation map[string]any `json:"cnf"`
}

// HasScope tells whether a scope was given.
func (t *Token) HasScope(scope string) bool {
	for _, word := range strings.Fields(t.Scope) {
		if word == scope {
			return true
		}
	}
	return false
}

// Refused is why a request is turned away (RFC 6750 §3.1). Code is empty where there was no token at all.
type Refused struct {
	Status            int
	Code, Description string
	Scope             string
}

func (r *Refused) Error() string { return r.Description }

// Verifier checks the access tokens of one issuer for one audience.
type Verifier struct {
	audience string
	keys     *Keys
	checks   *oidc.IDTokenVerifier
}

// NewVerifier asks nobody yet: the keys are fetched with the first token, so the API starts before its issuer does.
func NewVerifier(issuer, audience string) *Verifier {
	names := make([]string, len(algorithms))
	for i, algorithm := range algorithms {
		names[i] = string(algorithm)
	}
	keys := &Keys{issuer: issuer, client: &http.Client{
		Timeout:       5 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	config := &oidc.Config{ClientID: audience, SupportedSigningAlgs: names} // ClientID: what `aud` must hold
	return &Verifier{audience: audience, keys: keys, checks: oidc.NewVerifier(issuer, keys, config)}
}

// Verify returns what a bearer token says, or a *Refused.
func (v *Verifier) Verify(ctx context.Context, authorization string) (*Token, error) {
	scheme, raw, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "bearer") { // no token at all, or the credentials of another scheme
		return nil, &Refused{Status: http.StatusUnauthorized}
	}
	if raw == "" || strings.Contains(raw, " ") {
		return nil, &Refused{Status: http.StatusBadRequest, Code: "invalid_request", Description: "send: Authorization: Bearer TOKEN"}
	}
	header, ok := parseHeader(raw)
	if !ok {
		return nil, refuse("this is no access token")
	}
	if _, err := v.keys.find(ctx, header); errors.Is(err, errNoKeys) {
		return nil, &Refused{Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable", Description: err.Error()}
	}
	verified, err := v.checks.Verify(ctx, raw)
	var expired *oidc.TokenExpiredError
	switch {
	case errors.As(err, &expired):
		return nil, refuse("the token has expired")
	case err != nil:
		return nil, refuse("the token is not valid for this API")
	}
	token := &Token{Subject: verified.Subject, Expiry: verified.Expiry}
	if err := verified.Claims(token); err != nil || token.Subject == "" || token.ClientID == "" || token.ID == "" {
		return nil, refuse("the token lacks a claim")
	}
	if token.Confirmation != nil {
		return nil, refuse("the token is bound to a key; bearer tokens only")
	}
	return token, nil
}

// Require lets a request through whose token is valid and has the scope ("" for any).
func (v *Verifier) Require(scope string, handle func(http.ResponseWriter, *http.Request, *Token)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, err := v.Verify(r.Context(), r.Header.Get("Authorization"))
		if err == nil && scope != "" && !token.HasScope(scope) {
			err = &Refused{http.StatusForbidden, "insufficient_scope", "the token's scope is not enough", scope}
		}
		var refused *Refused
		if errors.As(err, &refused) {
			v.challenge(w, refused)
			return
		}
		handle(w, r, token)
	}
}

func (v *Verifier) challenge(w http.ResponseWriter, refused *Refused) {
	if refused.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	} else {
		parts := []string{fmt.Sprintf("Bearer realm=%q", v.audience)}
		if refused.Code != "" {
			parts = append(parts, fmt.Sprintf("error=%q", refused.Code), fmt.Sprintf("error_description=%q", refused.Description))
		}
		if refused.Scope != "" {
			parts = append(parts, fmt.Sprintf("scope=%q", refused.Scope))
		}
		w.Header().Set("WWW-Authenticate", strings.Join(parts, ", "))
	}
	code := refused.Code
	if code == "" { // nothing was wrong with the request but that it had no token: the challenge names no error
		code = "no_token"
	}
	answer(w, refused.Status, map[string]string{"error": code, "error_description": refused.Description})
}

// parseHeader returns the header of an access token; an ID token, which the same keys sign, is none (RFC 9068 §4).
func parseHeader(raw string) (jose.Header, bool) {
	signed, err := jose.ParseSigned(raw, algorithms)
	if err != nil || len(signed.Signatures) != 1 {
		return jose.Header{}, false
	}
	header := signed.Signatures[0].Header
	typ, _ := header.ExtraHeaders[jose.HeaderType].(string)
	return header, strings.TrimPrefix(strings.ToLower(typ), "application/") == "at+jwt"
}

func refuse(description string) *Refused {
	return &Refused{Status: http.StatusUnauthorized, Code: "invalid_token", Description: description}
}
