"""The manual is tested: its commands run, its links resolve, and what the code offers is named in it."""
