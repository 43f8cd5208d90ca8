"""What PostgreSQL writes, as values that can be compared."""

import datetime


def moment(text):
    """Of a time in UTC, in whose fraction zeros at the end are left out."""
    day, fraction = text.removesuffix("+00").partition(".")[::2]
    return datetime.datetime.fromisoformat(f"{day}.{fraction:0<6}")


def lsn(text):
    """A place in the WAL as a number of bytes."""
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)
