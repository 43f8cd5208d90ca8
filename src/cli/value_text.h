#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// Values as people write them in .env and pgbackrest.conf. All are pure; empty means that the text
// is no such value.
namespace pgrevive::cli {

// y/n, yes/no, true/false, on/off, 1/0 in any case.
std::optional<bool> parse_boolean(std::string_view text);

// pgBackRest's sizes: a number of bytes, or with b, k, kb, kib, m, ... p, all powers of two.
std::optional<std::uint64_t> parse_backrest_size(std::string_view text);

// pgBackRest's times: seconds ("30", "1.5"), or with ms, s, m, h, d, w.
std::optional<std::chrono::milliseconds> parse_backrest_time(std::string_view text);

// Whether postgresql.conf takes the text as an amount of memory: digits and one of B, kB, MB, GB,
// TB. A bare number is refused although PostgreSQL takes it: its unit depends on the setting, which
// is what people get wrong.
bool is_postgres_size(std::string_view text);

// Whether the text still is what an example file says in place of a value: "your-bucket",
// "<region>", "changeme", "xxx".
bool is_placeholder(std::string_view text);

// An address or network as pg_hba.conf takes it ("10.0.0.0/8", "fd00::/8"); a bare address gets its
// full length.
std::optional<std::string> parse_network(std::string_view text);

// A TCP port, 1 to 65535.
std::optional<int> parse_port(std::string_view text);

}  // namespace pgrevive::cli
