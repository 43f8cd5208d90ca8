#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "postgres/lsn.h"

namespace pgrevive::wal {

// Writes records into pages and (small) segments as PostgreSQL does, but for their CRC.
class WalWriter {
 public:
  static constexpr std::size_t kPage = 8192;
  static constexpr std::size_t kSegment = 8 * kPage;
  static constexpr std::uint64_t kSystem = 7710960940406228258;  // kSystemId of test_archive.h

  explicit WalWriter(std::size_t first_segment = 3) : base_(first_segment * kSegment) {}

  postgres::Lsn append(std::uint8_t manager, std::uint8_t info, const std::string& data,
                       std::uint32_t transaction = 0) {
    std::string record(24, '\0');
    store(record, 0, 24 + data.size(), 4);
    store(record, 4, transaction, 4);
    store(record, 8, previous_, 8);
    store(record, 16, info, 1);
    store(record, 17, manager, 1);
    record += data;
    if (bytes_.size() % kPage == 0) begin_page(0);
    previous_ = base_ + bytes_.size();
    put(record);
    while (bytes_.size() % 8 != 0) bytes_ += '\0';
    return postgres::Lsn(previous_);
  }
  // A record of another kind, after which `left` bytes of the segment are left.
  void fill_up_to(std::size_t left) {
    const auto end = (bytes_.size() / kSegment + 1) * kSegment - left;
    while (bytes_.size() + 200 < end) append(10, 0x20, std::string(64, 'x'));
    while (end - bytes_.size() >= 56) append(10, 0x20, std::string(8, 'y'));
    append(10, 0x20, std::string(end - bytes_.size() - 24, 'z'));
    ASSERT_EQ(bytes_.size(), end);
  }
  // As pg_switch_wal() does.
  postgres::Lsn switch_segment() {
    const auto begin = append(0, 0x40, "");
    bytes_.resize((bytes_.size() + kSegment - 1) / kSegment * kSegment, '\0');
    return begin;
  }
  // The page that comes next says that the record before it was never ended.
  void crash() { bytes_.resize((bytes_.size() / kPage + 1) * kPage, '\0'); }

  postgres::Lsn last() const { return postgres::Lsn(previous_); }
  // Where the next byte goes.
  postgres::Lsn end() const { return postgres::Lsn(base_ + bytes_.size()); }

  std::string segment(std::size_t i) const {
    auto text = bytes_.substr(std::min(i * kSegment, bytes_.size()), kSegment);
    text.resize(kSegment, '\0');
    return text;
  }

  // Data of that size with the header that a record's main data has.
  static std::string main_data(const std::string& data) {
    std::string head(data.size() <= 255 ? 2 : 5, '\0');
    store(head, 0, data.size() <= 255 ? 255 : 254, 1);
    store(head, 1, data.size(), head.size() - 1);
    return head + data;
  }
  static void store(std::string& bytes, std::size_t at, std::uint64_t value, std::size_t width) {
    for (std::size_t i = 0; i < width; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i));
  }

 private:
  void begin_page(std::size_t rest) {
    const auto at = bytes_.size();
    const bool first = at % kSegment == 0;
    bytes_.resize(at + (first ? 40 : 24), '\0');
    store(bytes_, at, 0xD110, 2);
    store(bytes_, at + 4, 1, 4);  // timeline
    store(bytes_, at + 2, (first ? 2u : 0u) | (rest > 0 ? 1u : 0u), 2);
    store(bytes_, at + 8, base_ + at, 8);
    store(bytes_, at + 16, rest, 4);
    if (!first) return;
    store(bytes_, at + 24, kSystem, 8);
    store(bytes_, at + 32, kSegment, 4);
    store(bytes_, at + 36, kPage, 4);
  }
  void put(std::string_view record) {
    while (!record.empty()) {
      if (bytes_.size() % kPage == 0) begin_page(record.size());
      const auto part = record.substr(0, kPage - bytes_.size() % kPage);
      bytes_ += part;
      record.remove_prefix(part.size());
    }
  }

  std::uint64_t base_;
  std::uint64_t previous_ = 0;
  std::string bytes_;
};

}  // namespace pgrevive::wal
