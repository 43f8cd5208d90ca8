#include "postgres/control_file.h"

#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "base/error.h"
#include "codec/hash.h"

namespace pgrevive::postgres {

namespace {

// The file is 8192 bytes, of which PostgreSQL uses the first few hundred.
constexpr std::size_t kFileSize = 8192;

constexpr std::size_t kControlVersionAt = 8;
constexpr std::size_t kCatalogVersionAt = 12;
constexpr std::size_t kStateAt = 16;
constexpr std::size_t kCheckpointAt = 32;

// Where a version keeps what moved over time. What moved it:
//   10  a random nonce before the CRC
//   11  the previous checkpoint's LSN before the copy of the checkpoint went
//   12  64-bit transaction ids in that copy; max_wal_senders
//   18  default signedness of char before the nonce
//   19  eight more bytes in that copy; pages per SLRU segment before the WAL segment size
struct Layout {
  std::size_t checkpoint_timeline;
  std::size_t minimum_recovery_point;  // followed by its timeline
  std::size_t max_connections;  // followed by max_worker_processes, then what has_wal_senders says
  bool has_wal_senders;
  std::size_t float_format;
  std::size_t block_size;
  std::size_t wal_segment_size;
  std::size_t data_checksum_version;
  std::size_t crc;
};

Layout layout_of(Version version) {
  if (version.at_least(19)) return {48, 144, 188, true, 216, 224, 240, 264, 304};
  if (version.at_least(18)) return {48, 136, 180, true, 208, 216, 228, 252, 292};
  if (version.at_least(12)) return {48, 136, 180, true, 208, 216, 228, 252, 288};
  if (version.at_least(11)) return {48, 128, 172, false, 200, 208, 220, 244, 280};
  if (version.at_least(10)) return {56, 136, 180, false, 208, 216, 228, 252, 288};
  return {56, 136, 180, false, 208, 216, 228, 252, 256};
}

struct Identified {
  Version version;
  Layout layout;
};

// Everything that can be checked without trusting a single byte: size, version, CRC.
Identified identify(ByteView bytes) {
  if (bytes.size() != kFileSize) {
    throw Error(ErrorKind::corrupt,
                fmt::format("pg_control has {} bytes instead of {}", bytes.size(), kFileSize));
  }
  const auto control_version = load_le<std::uint32_t>(bytes, kControlVersionAt);
  const auto catalog_version = load_le<std::uint32_t>(bytes, kCatalogVersionAt);
  const auto version = version_of(control_version, catalog_version);
  if (!version) {
    // The byte order of the other kind of machine makes 1300 of it 335872.
    if (control_version % 0x10000 == 0 && control_version != 0) {
      throw Error(ErrorKind::unsupported, "pg_control was written on a big-endian machine")
          .with_hint("restore on a machine of the kind the backup was made on");
    }
    throw Error(ErrorKind::unsupported,
                fmt::format("pg_control version {} with catalog version {} is of no PostgreSQL "
                            "version that is known here",
                            control_version, catalog_version))
        .with_hint("a newer pgrevive may know it; damaged bytes look the same");
  }
  const auto layout = layout_of(*version);
  if (codec::crc32c(bytes.first(layout.crc)) != load_le<std::uint32_t>(bytes, layout.crc)) {
    throw Error(ErrorKind::corrupt, "pg_control does not match its checksum");
  }
  return {*version, layout};
}

template <typename Integer>
void store_le(Bytes& bytes, std::size_t offset, Integer value) {
  for (std::size_t i = 0; i < sizeof(Integer); ++i) {
    bytes[offset + i] = static_cast<std::byte>(value >> (8 * i) & 0xFF);
  }
}

}  // namespace

ControlFile ControlFile::parse(ByteView bytes) {
  const auto [version, layout] = identify(bytes);
  const auto number = [&](std::size_t offset) { return load_le<std::uint32_t>(bytes, offset); };
  const auto wide = [&](std::size_t offset) { return load_le<std::uint64_t>(bytes, offset); };
  const auto signed_number = [&](std::size_t offset) {
    return static_cast<std::int32_t>(number(offset));
  };

  // PostgreSQL stores 1234567.0 here so that a machine with other floating point finds out.
  double float_format = 0;
  std::memcpy(&float_format, bytes.data() + layout.float_format, sizeof float_format);
  if (float_format != 1234567.0) {
    throw Error(ErrorKind::unsupported, "pg_control was written on a machine of another kind")
        .with_hint("restore on a machine of the kind the backup was made on");
  }
  const auto state = number(kStateAt);
  if (state > static_cast<std::uint32_t>(State::in_production)) {
    throw Error(ErrorKind::corrupt, fmt::format("pg_control has an unknown state {}", state));
  }

  ControlFile control;
  control.system_id = wide(0);
  control.control_version = number(kControlVersionAt);
  control.catalog_version = number(kCatalogVersionAt);
  control.version = version;
  control.state = static_cast<State>(state);
  control.checkpoint = Lsn(wide(kCheckpointAt));
  control.redo = Lsn(wide(layout.checkpoint_timeline - 8));  // the copy begins with it
  control.checkpoint_timeline = Timeline(number(layout.checkpoint_timeline));
  control.minimum_recovery_point = Lsn(wide(layout.minimum_recovery_point));
  control.minimum_recovery_timeline = Timeline(number(layout.minimum_recovery_point + 8));
  control.block_size = number(layout.block_size);
  control.wal_segment_size = number(layout.wal_segment_size);
  control.data_checksum_version = number(layout.data_checksum_version);

  auto at = layout.max_connections;
  const auto next = [&] { return signed_number(std::exchange(at, at + 4)); };
  control.parameters.max_connections = next();
  control.parameters.max_worker_processes = next();
  if (layout.has_wal_senders) control.parameters.max_wal_senders = next();
  control.parameters.max_prepared_xacts = next();
  control.parameters.max_locks_per_xact = next();
  return control;
}

Bytes spoil_checkpoint(ByteView control_file) {
  const auto crc_at = identify(control_file).layout.crc;
  Bytes bytes(control_file.begin(), control_file.end());
  store_le(bytes, kCheckpointAt, kSpoiledCheckpoint.value());
  store_le(bytes, crc_at, codec::crc32c(ByteView(bytes).first(crc_at)));
  return bytes;
}

}  // namespace pgrevive::postgres
