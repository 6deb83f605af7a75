"""Rules about the source itself: who imports whom, how long a file may grow, where a broad `except` may stand."""
