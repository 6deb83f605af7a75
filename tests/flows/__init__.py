"""Whole journeys over real HTTP, by real client libraries."""
