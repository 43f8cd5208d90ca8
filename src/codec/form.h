#pragma once

namespace pgrevive::codec {

// The two dresses of a stored stream. Members of raw bundles, super blocks and block maps are raw:
// gz has a zlib wrapper, lz4 frames carry no content checksum, ciphertext has its salt without the
// word "Salted__" before it. zst and bz2 are the same in both.
enum class Form { standard, raw };

}  // namespace pgrevive::codec
