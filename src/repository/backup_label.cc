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

std::optional<BackupLabel> BackupLabel::try_parse(std::string_view text) {
  const auto label = [&](BackupType type) { return BackupLabel(std::string(text), type); };
  const bool begins_well =
      text.size() >= kFullSize && is_time(text.substr(0, kTimeSize)) && text[kTimeSize] == 'F';
  if (begins_well && text.size() == kFullSize) return label(BackupType::full);
  if (begins_well && text.size() == kDependentSize && text[kFullSize] == '_' &&
      is_time(text.substr(kFullSize + 1, kTimeSize))) {
    if (text.back() == 'D') return label(BackupType::differential);
    if (text.back() == 'I') return label(BackupType::incremental);
  }
  return std::nullopt;
}

BackupLabel BackupLabel::parse(std::string_view text) {
  if (auto label = try_parse(text)) return *std::move(label);
  throw Error(ErrorKind::corrupt, fmt::format("'{}' is not a backup label", printable(text)));
}

BackupLabel BackupLabel::full() const { return {text_.substr(0, kFullSize), BackupType::full}; }

}  // namespace pgrevive::repository
