"""One package for each thing a client or a person can do; no feature imports another."""
