"""Makes the key pair of a licensor, signs licences with it, and says what a licence is worth."""
