"""Phases that features share."""
