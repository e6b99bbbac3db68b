"""What `make bench` compares the platform with."""
