"""What the server does by itself, beside requests."""
