#include "cli/restore_command.h"

#include <algorithm>
#include <span>

#include "base/error.h"

namespace pgrevive::cli {

std::string shell_quote(const std::string& word) {
  const bool safe = !word.empty() && std::ranges::all_of(word, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/._-+:@=,").find(c) != std::string_view::npos;
  });
  if (safe) return word;
  std::string quoted = "'";
  for (const char c : word) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

std::string restore_command(const std::vector<std::string>& archive_get,
                            const std::vector<std::string>& words) {
  std::string line = shell_quote(archive_get.front());
  for (const std::string& word : std::span(archive_get).subspan(1)) line += " " + shell_quote(word);
  for (const std::string& word : words) line += " " + shell_quote(word);

  std::string escaped;
  for (const char c : line) {
    escaped += c;
    if (c == '%') escaped += c;
  }
  return "exec " + escaped + " %f \"%p\"";
}

std::vector<std::string> archive_get_call() {
  const std::filesystem::path program = own_program();
  const std::filesystem::path client = program.parent_path() / "pgrevive-archive-get";
  std::error_code ignored;
  if (std::filesystem::exists(client, ignored)) return {client.string()};
  return {program.string(), "archive-get"};
}

std::filesystem::path own_program() {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) throw system_error(error.value(), "cannot read /proc/self/exe");
  return path;
}

}  // namespace pgrevive::cli
