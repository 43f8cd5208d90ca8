#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace pgrevive::repository {

enum class BackupType { full, differential, incremental };
std::string_view name(BackupType type);  // "full", "diff", "incr" as pgBackRest writes them

// The name of a backup, which is also its folder in the repository and says which full backup it
// rests on:
//
//   20240115-020000F                    a full backup
//   20240115-020000F_20240116-020000D   a differential on that full backup
//   20240115-020000F_20240116-060000I   an incremental
//
// Well formed by construction. The times in it are local times of the backup host: order backups
// by their timestamps, not by label.
class BackupLabel {
 public:
  // Throws Error{corrupt} if `text` is not a label.
  static BackupLabel parse(std::string_view text);
  // Empty if it is not.
  static std::optional<BackupLabel> try_parse(std::string_view text);

  BackupType type() const { return type_; }
  const std::string& text() const { return text_; }
  // The full backup this one rests on; itself, if it is one.
  BackupLabel full() const;
  auto operator<=>(const BackupLabel&) const = default;

 private:
  BackupLabel(std::string text, BackupType type) : text_(std::move(text)), type_(type) {}
  std::string text_;
  BackupType type_;
};

}  // namespace pgrevive::repository
