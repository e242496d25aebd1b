"""What a comparison with the version that serves now shows, on updates of the zoo's clean fit models."""
