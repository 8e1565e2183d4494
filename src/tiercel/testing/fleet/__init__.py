"""A fleet in one machine: simulated hosts, real collectors, Kafka, workers, sinks, and a judge of the outcome."""
