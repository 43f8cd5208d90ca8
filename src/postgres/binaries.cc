#include "postgres/binaries.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/child_process.h"
#include "base/error.h"
#include "base/text.h"

namespace pgrevive::postgres {

namespace {

namespace fs = std::filesystem;

// What `program argument` prints, trimmed; empty if it cannot be run or fails. Throws Error{system}
// where the host is out of memory, processes or files: that says nothing about the program.
std::optional<std::string> ask(const fs::path& program, const std::string& argument,
                               const std::optional<Identity>& as) {
  try {
    Command command;
    command.program = program;
    command.arguments = {argument};
    command.identity = as;
    const auto output = run(command, {}, std::chrono::seconds(10));
    if (!output.status.ok()) return std::nullopt;
    return std::string(trim(output.out));
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::system) throw;
    return std::nullopt;
  }
}

// "postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)", "... 9.6.24", "... 19beta3".
std::optional<Version> version_in(std::string_view text) {
  constexpr std::string_view kBefore = "(PostgreSQL) ";
  const auto at = text.find(kBefore);
  if (at == std::string_view::npos) return std::nullopt;
  auto word = text.substr(at + kBefore.size());
  word = word.substr(0, word.find(' '));
  const auto take_number = [&] {
    const auto digits = word.substr(0, word.find_first_not_of("0123456789"));
    word.remove_prefix(digits.size());
    return digits;
  };
  std::string major(take_number());
  if (major.size() == 1 && word.starts_with('.')) {  // until 9.6 two numbers made a major version
    word.remove_prefix(1);
    major += "." + std::string(take_number());
  }
  try {
    return Version::parse(major);
  } catch (const Error&) {
    return std::nullopt;
  }
}

// Debian installs majors side by side below the first of these, Red Hat below the second:
// /usr/lib/postgresql/15/bin, /usr/pgsql-15/bin.
std::vector<fs::path> installed_majors() {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator entry("/usr/lib/postgresql", error), end; !error && entry != end;
       entry.increment(error)) {
    found.push_back(entry->path() / "bin");
  }
  error.clear();
  for (fs::directory_iterator entry("/usr", error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().filename().string().starts_with("pgsql-")) {
      found.push_back(entry->path() / "bin");
    }
  }
  return found;
}

// What someone built from source or put into PATH.
std::vector<fs::path> in_path(const std::optional<Identity>& as) {
  std::vector<fs::path> found;
  if (const auto program = find_program("pg_config")) {
    if (const auto directory = ask(*program, "--bindir", as)) found.emplace_back(*directory);
  }
  if (const auto program = find_program("postgres")) {
    std::error_code error;
    auto real = fs::canonical(*program, error);
    found.push_back((error ? *program : real).parent_path());
  }
  return found;
}

}  // namespace

std::optional<Version> version_of_binaries(const fs::path& directory,
                                           const std::optional<Identity>& as) {
  for (const char* program : {"postgres", "initdb", "pg_ctl"}) {
    std::error_code error;
    if (!fs::is_regular_file(directory / program, error)) return std::nullopt;
  }
  const auto text = ask(directory / "postgres", "--version", as);
  return text ? version_in(*text) : std::nullopt;
}

fs::path find_binaries(Version version, const fs::path& configured,
                       const std::optional<Identity>& as) {
  if (!configured.empty()) {
    const auto found = version_of_binaries(configured, as);
    if (found == version) return configured;
    throw Error(ErrorKind::not_found,
                found ? fmt::format("{} holds PostgreSQL {}, but version {} is needed",
                                    configured.string(), found->text(), version.text())
                      : fmt::format("{} does not hold the programs postgres, initdb and pg_ctl",
                                    configured.string()))
        .with_hint(
            fmt::format("name the directory of PostgreSQL {0}, or none to have it looked for; "
                        "apt-get install postgresql-{0} brings it",
                        version.text()));
  }
  std::vector<fs::path> places{fmt::format("/usr/lib/postgresql/{}/bin", version.text()),
                               fmt::format("/usr/pgsql-{}/bin", version.text())};
  std::ranges::copy(in_path(as), std::back_inserter(places));
  std::vector<std::string> looked;
  for (const auto& place : places) {
    if (version_of_binaries(place, as) == version) return place;
    if (std::ranges::find(looked, place.string()) == looked.end()) looked.push_back(place.string());
  }
  throw Error(ErrorKind::not_found, fmt::format("PostgreSQL {} is not installed (looked in {})",
                                                version.text(), fmt::join(looked, ", ")))
      .with_hint(fmt::format("install it: apt-get install postgresql-{} (versions other than the "
                             "distribution's come from apt.postgresql.org)",
                             version.text()));
}

std::optional<Version> newest_installed(const fs::path& configured,
                                        const std::optional<Identity>& as) {
  if (!configured.empty()) return version_of_binaries(configured, as);
  auto places = installed_majors();
  std::ranges::copy(in_path(as), std::back_inserter(places));
  std::optional<Version> newest;
  for (const auto& place : places) {
    const auto found = version_of_binaries(place, as);
    if (found && (!newest || *found > *newest)) newest = found;
  }
  return newest;
}

}  // namespace pgrevive::postgres
