"""Mail to people: what kinds there are, how they read, and how they leave through SMTP."""
