"""What `tiercel doctor` looks at besides the kernel: a file a subject. Nothing is changed by looking."""
