"""The way in and out: events, Kafka, files, the command line."""
