"""The HTTP edge all features share."""
