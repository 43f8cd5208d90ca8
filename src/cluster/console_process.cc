#include "cluster/console_process.h"

#include "base/file.h"
#include "base/text.h"
#include "cluster/adminer.h"
#include "cluster/notices.h"

namespace pgrevive::cluster {
SideProgram console_program(const StateDirectory& directory) {
  return {
      .name = "the console",
      .pid_file = directory.run() / "console.pid",
      .mark = std::string("serve-console\0", 14) + directory.root().string() + std::string(1, 0)};
}

Command console_command(const StateDirectory& directory) {
  return {.program = directory.program(),
          .arguments = {"serve-console", directory.root().string()},
          .directory = directory.root(),
          .log = directory.root() / "logs" / "console.log"};
}

std::filesystem::path console_token_file(const StateDirectory& directory) {
  return directory.secrets() / "console.token";
}

std::optional<Secret> read_console_token(const StateDirectory& directory) {
  const auto text = read_file_if_exists(console_token_file(directory));
  if (!text || trim(*text).empty()) return {};
  return Secret(std::string(trim(*text)));
}

Secret console_token(const StateDirectory& directory) {
  if (auto token = read_console_token(directory)) return *std::move(token);
  auto token = make_secret();
  write_file_atomic(console_token_file(directory), token.reveal() + "\n");
  return token;
}

std::string console_url(const Settings& settings) {
  return url_of(settings.console_listen, settings.console_port);
}

std::optional<Notice> console_exposure(const Settings& settings) {
  const auto& address = settings.console_listen;
  if (settings.console_port == 0 || address.starts_with("127.") || address == "::1") return {};
  return notice("console_exposed", address, std::to_string(settings.console_port));
}

bool tells_of_exposure(const Notice& notice) {
  // One that an older version left has no id.
  return notice.text.starts_with("the console listens on ");
}

}  // namespace pgrevive::cluster
