"""The real parts that functional tests are made of: PostgreSQL, pgBackRest, Ceph RGW, trees of files."""
