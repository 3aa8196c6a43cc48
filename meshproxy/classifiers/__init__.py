"""Response classifiers: what a failure is, and which may be retried."""
