"""Raw batches in, enriched batches and alerts out: a core free of Kafka (`worker`), and the Faust app around it (`app`)."""
