"""What carries Avro messages from stage to stage: a queue in the process, or Kafka, behind the interfaces of `base`."""
