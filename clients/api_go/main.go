// A sample resource server on net/http that verifies access tokens locally with go-oidc.
//
//	ISSUER=http://localhost:9000 PORT=9001 go run .
package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	scopeRead  = "api:read"
	scopeWrite = "api:write"
)

func main() {
	port := cmp.Or(os.Getenv("PORT"), "9001")
	issuer := strings.TrimSuffix(cmp.Or(os.Getenv("ISSUER"), "http://localhost:9000"), "/")
	audience := cmp.Or(os.Getenv("AUDIENCE"), "http://localhost:"+port)
	verifier := NewVerifier(issuer, audience)

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"api": audience, "issuer": issuer, "scopes": []string{scopeRead, scopeWrite}})
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /whoami", verifier.Require("", func(w http.ResponseWriter, _ *http.Request, token *Token) {
		answer(w, http.StatusOK, map[string]any{
			"subject": token.Subject, "client_id": token.ClientID, "scope": token.Scope,
			"expires_at": token.Expiry.UTC().Format(time.RFC3339),
		})
	}))
	mux.HandleFunc("GET /notes", verifier.Require(scopeRead, func(w http.ResponseWriter, _ *http.Request, token *Token) {
		answer(w, http.StatusOK, map[string]any{"notes": []string{"for " + token.Subject + " only"}})
	}))
	mux.HandleFunc("GET /experiment", verifier.Require("", func(w http.ResponseWriter, _ *http.Request, token *Token) {
		missing := slices.DeleteFunc([]string{scopeRead, scopeWrite}, token.HasScope)
		access := []string{"full", "limited", "none"}[len(missing)]
		answer(w, http.StatusOK, map[string]any{"access": access, "missing_scope": strings.Join(missing, " ")})
	}))

	server := &http.Server{
		Addr:              cmp.Or(os.Getenv("HOST"), "127.0.0.1") + ":" + port,
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
	}
	fmt.Printf("%s takes tokens of %s\n", audience, issuer)
	log.Fatal(server.ListenAndServe())
}

func answer(w http.ResponseWriter, status int, document any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(document); err != nil {
		log.Printf("the answer was cut: %v", err)
	}
}
