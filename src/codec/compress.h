#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "codec/form.h"
#include "codec/sink.h"

namespace pgrevive::codec {

enum class CompressType { none, gz, bz2, lz4, zst };

// pgBackRest's own names, as in option-compress-type: "none", "gz", "bz2", "lz4", "zst".
std::optional<CompressType> parse_compress_type(std::string_view name);
std::string_view name(CompressType type);

// With its dot: ".gz"; empty for none.
std::string_view extension(CompressType type);
// By the end of a file name; none when it ends in no known extension. Only for names that
// pgBackRest made (WAL segments): a user's file may end in ".gz" by itself.
CompressType type_of_extension(std::string_view file_name);

// Whether the checksum that a codec adds to its own output is computed. For lz4 it is half of the
// cost, and needless where the caller compares the result with a SHA-1 anyway. The other codecs
// check theirs in any case: for gz it costs nothing.
enum class Checksums { verified, skipped };

// A sink that decompresses exactly one stream into the room of `next`, or, where it has none, in
// pieces of 256 KiB whatever the size of the pieces it is given. finish() throws Error{corrupt}
// when the stream has not reached its own end ("gz stream is truncated"); bytes after the end are
// Error{corrupt} too, because pgBackRest writes one member per file. CompressType::none passes
// bytes through. Memory is bounded whatever the stream claims: a few MiB, and for zst the window,
// 128 MiB at most. `next` must outlive the result.
std::unique_ptr<Sink> make_decompressor(CompressType type, Form form, Sink& next,
                                        Checksums checksums = Checksums::verified);

}  // namespace pgrevive::codec
