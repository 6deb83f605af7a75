"""The tests. Folders mirror authserver/; architecture/, docs/, flows/ and house/ hold what belongs to no one module."""
