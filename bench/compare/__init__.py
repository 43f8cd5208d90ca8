"""The driver of bench/compare.sh."""
