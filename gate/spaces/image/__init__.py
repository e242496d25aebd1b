"""Images: samples from disk, preprocessing, trigger families, and small pictures for the report."""
