"""Raw batches in, enriched batches and alerts out: `worker`, free of Kafka, and the Faust app around it, `app`."""
