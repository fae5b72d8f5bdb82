"""Services: gather what decisions need, and apply what they say."""
