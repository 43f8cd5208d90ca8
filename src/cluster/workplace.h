#pragma once

#include <filesystem>
#include <stop_token>
#include <utility>

#include "cluster/site.h"

namespace pgrevive::cluster {

// A Site, and what it works with that nobody else has: the servers of one process and its
// prefetcher.
class Workplace {
 public:
  Workplace(const Settings& settings, const StateDirectory& directory, const Marker& marker,
            StatusBoard& board, std::stop_token stop, postgres::Version version,
            std::filesystem::path binaries)
      : servers_(board),
        prefetch_(settings, directory, board),
        site_{.settings = settings,
              .directory = directory,
              .marker = marker,
              .board = board,
              .servers = servers_,
              .prefetch = prefetch_,
              .stop = std::move(stop),
              .host = look_at_host(),
              .version = version,
              .binaries = std::move(binaries)} {}
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;

  Site& site() { return site_; }

 private:
  Servers servers_;
  Prefetch prefetch_;
  Site site_;
};

}  // namespace pgrevive::cluster
