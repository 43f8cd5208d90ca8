#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/child_process.h"
#include "postgres/connection.h"

namespace pgrevive::cli {

// The sample source of `demo`: a PostgreSQL cluster with some life in it that real pgBackRest backs
// up into a local repository, and that is gone afterwards.
//
//   <root>/pgrevive-demo.json   marks the directory as ours
//   <root>/repo                 the repository, stanza main: all that is left of the source
//   <root>/rows.json            how many rows the source had; written last, so it means "complete"
//   <root>/pgbackrest.conf      for `pgbackrest info` and the like
//   <root>/demo.env             what `demo` starts its cluster with
class DemoSource {
 public:
  explicit DemoSource(std::filesystem::path root) : root_(std::move(root)) {}

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path repository() const { return root_ / "repo"; }
  std::filesystem::path env_file() const { return root_ / "demo.env"; }
  std::filesystem::path conf() const { return root_ / "pgbackrest.conf"; }

  struct Rows {
    std::string table;  // "shop.orders"
    std::int64_t count = 0;
    bool operator==(const Rows&) const = default;
  };

  // What the source had; empty if there is no complete one.
  std::optional<std::vector<Rows>> rows() const;
  // The same question put to a running server.
  static std::vector<Rows> count(postgres::ConnectionOptions server);

  // Makes it, whatever an interrupted attempt left behind; `step` hears what is being done. Throws
  // Error{target_not_empty} where the directory is not ours.
  void make(int scale, const std::function<void(const std::string&)>& step) const;

  // Removes all of it. False if there is none.
  bool remove() const;

 private:
  bool is_ours() const;

  std::filesystem::path root_;
};

}  // namespace pgrevive::cli
