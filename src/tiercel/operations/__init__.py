"""What is told of a running process: metrics, health and readiness over HTTP. Stages know nothing of it."""
