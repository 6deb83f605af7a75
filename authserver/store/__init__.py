"""The only package that speaks to a database: SQLite or PostgreSQL (DESIGN §4).

Every function takes a ``Tx`` and works inside the caller's transaction; what it returns are values, never rows.
"""
