"""What `authserver bench` brings up, drives and measures."""
