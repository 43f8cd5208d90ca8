#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "postgres/lsn.h"
#include "postgres/version.h"

namespace pgrevive::postgres {

// The facts of global/pg_control that this program needs. Offsets: docs/format/pg_control.md.
struct ControlFile {
  enum class State {
    starting_up = 0,
    shut_down = 1,
    shut_down_in_recovery = 2,
    shutting_down = 3,
    in_crash_recovery = 4,
    in_archive_recovery = 5,
    in_production = 6,
  };

  std::uint64_t system_id = 0;
  std::uint32_t control_version = 0;
  std::uint32_t catalog_version = 0;
  Version version;
  State state = State::shut_down;
  Lsn checkpoint;
  Lsn redo;  // where replay begins that starts from that checkpoint
  Timeline checkpoint_timeline;
  Lsn minimum_recovery_point;
  Timeline minimum_recovery_timeline;  // that point's; 0: there is none
  std::uint32_t block_size = 0;
  std::uint32_t wal_segment_size = 0;
  std::uint32_t data_checksum_version = 0;  // 0: checksums are off

  // What hot standby must not stay below (PostgreSQL 9.6 and later keep them in this file).
  struct Parameters {
    std::int32_t max_connections = 0;
    std::int32_t max_worker_processes = 0;
    std::int32_t max_wal_senders = 0;  // 0 before PostgreSQL 12: it is not recorded there
    std::int32_t max_prepared_xacts = 0;
    std::int32_t max_locks_per_xact = 0;
  } parameters;

  // Throws Error{corrupt} when the CRC or the size is wrong and Error{unsupported} for a version or
  // an architecture that we do not know.
  static ControlFile parse(ByteView bytes);
};

// The same file with its checkpoint LSN set to 0xDEAD and the CRC redone: with it, and without
// backup_label, the cluster refuses to start. pgBackRest publishes pg_control of an online backup
// that way, and so do we.
Bytes spoil_checkpoint(ByteView control_file);
inline constexpr Lsn kSpoiledCheckpoint{0xDEAD};

}  // namespace pgrevive::postgres
