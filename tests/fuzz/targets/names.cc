#include "fuzz/fuzz.h"
#include "postgres/lsn.h"
#include "postgres/version.h"
#include "postgres/wal_name.h"
#include "repository/backup_label.h"
#include "repository/manifest_name.h"

// Any text is either refused or a name that survives a round trip, and a manifest's name leads
// nowhere but below its two roots.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pgrevive;
  const auto text = as_text(fuzz::input(data, size));
  fuzz::refusal_of([&] {
    const auto label = repository::BackupLabel::parse(text);
    fuzz::require(label.text() == text, "a label is its text");
    fuzz::require(label.full().type() == repository::BackupType::full, "and rests on a full one");
    fuzz::require(is_plain_path(label.text()), "and is a directory's name");
  });
  fuzz::refusal_of([&] {
    const auto lsn = postgres::Lsn::parse(text);
    fuzz::require(postgres::Lsn::parse(lsn.text()) == lsn, "a position survives");
  });
  fuzz::refusal_of([&] {
    const auto version = postgres::Version::parse(text);
    fuzz::require(postgres::Version::parse(version.text()) == version, "a version survives");
  });
  fuzz::refusal_of([&] {
    const auto timeline = postgres::Timeline::parse_hex(text);
    fuzz::require(postgres::Timeline::parse_hex(timeline.hex()) == timeline, "a timeline survives");
  });
  for (const std::uint32_t segment_size : {1u << 20, 16u << 20, 1u << 30}) {
    fuzz::refusal_of([&] {
      const auto segment = postgres::WalSegment::parse(text, segment_size);
      fuzz::require(segment.name() == text, "a segment is its name");
      fuzz::require(postgres::wal_file_kind(text) == postgres::WalFileKind::segment,
                    "and told by it");
    });
  }
  if (postgres::wal_file_kind(text) != postgres::WalFileKind::other)
    fuzz::require(is_plain_path(text) && text.find('/') == text.npos, "WAL files are plain names");
  for (const auto kind :
       {repository::EntryKind::file, repository::EntryKind::path, repository::EntryKind::link}) {
    fuzz::refusal_of([&] {
      repository::check_name(text, kind);
      fuzz::require(is_plain_path(text), "a manifest's name stays inside");
      fuzz::require(text.starts_with("pg_data") || text.starts_with("pg_tblspc"), "of its roots");
    });
  }
  return 0;
}
