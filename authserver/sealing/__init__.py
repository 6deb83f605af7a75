"""What is kept secret from the database: the key ring outside it, subkeys, and the tokens that only we can make."""
