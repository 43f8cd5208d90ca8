#include "repository/backup_label.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"

namespace pgrevive::repository {

namespace {

constexpr std::size_t kTimeSize = 15;  // YYYYMMDD-HHMMSS
constexpr std::size_t kFullSize = kTimeSize + 1;
constexpr std::size_t kDependentSize = kFullSize + 1 + kTimeSize + 1;

bool is_time(std::string_view text) {
  return text.size() == kTimeSize && text[8] == '-' &&
         std::ranges::all_of(text.substr(0, 8), [](char c) { return c >= '0' && c <= '9'; }) &&
         std::ranges::all_of(text.substr(9), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::string_view name(BackupType type) {
  switch (type) {
    case BackupType::full:
      return "full";
    case BackupType::differential:
      return "diff";
    case BackupType::incremental:
      return "incr";
  }
  return "";
}

BackupLabel BackupLabel::parse(std::string_view text) {
  const bool begins_well =
      text.size() >= kFullSize && is_time(text.substr(0, kTimeSize)) && text[kTimeSize] == 'F';
  if (begins_well && text.size() == kFullSize) return {std::string(text), BackupType::full};
  if (begins_well && text.size() == kDependentSize && text[kFullSize] == '_' &&
      is_time(text.substr(kFullSize + 1, kTimeSize))) {
    if (text.back() == 'D') return {std::string(text), BackupType::differential};
    if (text.back() == 'I') return {std::string(text), BackupType::incremental};
  }
  throw Error(ErrorKind::corrupt, fmt::format("'{}' is not a backup label", printable(text)));
}

BackupLabel BackupLabel::full() const { return {text_.substr(0, kFullSize), BackupType::full}; }

}  // namespace pgrevive::repository
