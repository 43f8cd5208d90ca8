#include "cluster/marker.h"

#include <chrono>
#include <functional>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/un.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cluster/status_board.h"

namespace pgrevive::cluster {

using nlohmann::json;

std::optional<Marker> Marker::load(const StateDirectory& directory) {
  const auto text = read_file_if_exists(directory.marker());
  if (!text) return {};
  try {
    const json j = json::parse(*text);
    return Marker{.cluster_name = j.at("cluster_name").get<std::string>(),
                  .created_ms = j.at("created_ms").get<std::int64_t>(),
                  .owner = j.at("owner").get<uid_t>(),
                  .owner_name = j.at("owner_name").get<std::string>(),
                  .socket_directory = j.at("socket_directory").get<std::string>(),
                  .archive_suffix = j.value("archive_suffix", std::string()),
                  .opened_ms = j.value("opened_ms", std::int64_t{0})};
  } catch (const json::exception& error) {
    throw Error(ErrorKind::corrupt,
                directory.marker().string() + " cannot be read: " + printable(error.what()));
  }
}

void Marker::save(const StateDirectory& directory) const {
  const json j = {{"cluster_name", cluster_name},
                  {"created_ms", created_ms},
                  {"owner", owner},
                  {"owner_name", owner_name},
                  {"socket_directory", socket_directory.string()},
                  {"archive_suffix", archive_suffix},
                  {"opened_ms", opened_ms}};
  write_file_atomic(directory.marker(), j.dump(2) + '\n', 0644);
}

Marker make_marker(const std::string& cluster_name, const StateDirectory& directory,
                   const Identity& owner, std::int64_t now_ms) {
  const std::chrono::sys_seconds now(std::chrono::seconds(now_ms / 1000));
  return {.cluster_name = cluster_name,
          .created_ms = now_ms,
          .owner = owner.uid,
          .owner_name = owner.name,
          .socket_directory = choose_socket_directory(directory, owner.uid),
          .archive_suffix = fmt::format("{:%Y%m%dT%H%M%S}", now)};
}

std::filesystem::path choose_socket_directory(const StateDirectory& directory, uid_t owner) {
  // The longest name PostgreSQL puts there, and the byte that ends the text.
  constexpr std::size_t kName = std::string_view("/.s.PGSQL.65535").size() + 1;
  const auto usual = directory.run();
  if (usual.native().size() + kName <= sizeof(sockaddr_un::sun_path)) return usual;
  const auto hash = std::hash<std::string>{}(directory.root().lexically_normal().string());
  return fmt::format("/tmp/pgrevive-{}-{:016x}", owner, hash);
}

void note_opened(const StateDirectory& directory) {
  auto marker = load_marker(directory);
  if (marker.opened_ms != 0) return;
  marker.opened_ms = unix_milliseconds();
  marker.save(directory);
}

Marker load_marker(const StateDirectory& directory) {
  if (auto marker = Marker::load(directory)) return *std::move(marker);
  throw Error(ErrorKind::not_found, "there is no cluster in " + directory.root().string())
      .with_hint("make one with start");
}

}  // namespace pgrevive::cluster
