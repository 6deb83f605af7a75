"""`make bench`, and what it has measured."""
