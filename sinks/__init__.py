"""Where enriched batches and alerts end up. `base` drives any sink from any joint."""
