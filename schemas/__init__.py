"""The contracts: tables of events and fields, Avro schemas, topics, and the tables in ClickHouse."""
