"""The content-moderation model of the package toxic-comment-classifier, rebuilt in torch and scanned for real."""
