"""What carries Avro messages from stage to stage: a queue in the process, or Kafka. Both offer the objects of `base`."""
