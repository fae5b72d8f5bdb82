"""What every dialect's requests go through before they reach it."""
