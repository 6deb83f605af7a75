"""Signing and verifying: the only importer of joserfc. Reads no clock and no network; both are handed in."""
