#include "cli/env_file.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "base/image.h"
#include "base/text.h"
#include "cli/env_names.h"

namespace pgrevive::cli {
namespace {

// The value behind '=': its text, or what is wrong with it.
struct Value {
  std::string text;
  std::string problem;
};

// What may follow a closing quote: nothing, or a comment.
bool is_tail(std::string_view rest) {
  rest = trim(rest);
  return rest.empty() || rest.front() == '#';
}

Value read_value(std::string_view text) {
  text = trim(text);
  if (text.empty()) return {};

  if (text.front() == '\'') {
    const std::size_t end = text.find('\'', 1);
    if (end == std::string_view::npos) {
      return {"", "the single quote is not closed on this line"};
    }
    if (!is_tail(text.substr(end + 1))) return {"", "there is text behind the closing quote"};
    return {std::string(text.substr(1, end - 1)), ""};
  }

  if (text.front() == '"') {
    Value value;
    for (std::size_t i = 1; i < text.size(); ++i) {
      if (text[i] == '"') {
        if (!is_tail(text.substr(i + 1))) return {"", "there is text behind the closing quote"};
        return value;
      }
      if (text[i] == '\\' && i + 1 < text.size()) {
        const char next = text[++i];
        switch (next) {
          case 'n':
            value.text += '\n';
            break;
          case 't':
            value.text += '\t';
            break;
          case '"':
          case '\\':
          case '$':
            value.text += next;
            break;
          default:
            value.text += '\\';
            value.text += next;
        }
      } else {
        value.text += text[i];
      }
    }
    return {"", "the double quote is not closed on this line"};
  }

  // A '#' begins a comment only behind a blank: "pa#ss" is a password.
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '#' && (i == 0 || text[i - 1] == ' ' || text[i - 1] == '\t')) {
      text = text.substr(0, i);
      break;
    }
  }
  return {std::string(trim(text)), ""};
}

// A name that is not ours may be a pasted secret that happens to hold a '='.
std::string shown(std::string_view name) {
  return find_env_name(name) != nullptr ? std::string(name) : std::string("this name");
}

std::string read_secret(const std::filesystem::path& path) {
  auto value = read_file(path);
  while (value.ends_with('\n') || value.ends_with('\r')) value.pop_back();
  return value;
}

// Puts in the place of a NAME_FILE the secret that is in that file.
void read_secret_files(EnvFile& file) {
  for (EnvEntry& entry : file.entries) {
    const std::string name(secret_of_file_name(entry.name));
    if (name.empty() || entry.value.empty()) continue;
    const auto other = std::ranges::find(file.entries, name, &EnvEntry::name);
    if (other != file.entries.end() && !other->value.empty()) {
      file.problems.push_back(
          {entry.line, fmt::format("{} and {} (line {}) say the same; keep one of them", entry.name,
                                   name, other->line)});
      continue;
    }
    try {
      auto secret = read_secret(file.path.parent_path() / entry.value);
      if (other != file.entries.end()) {
        other->value = std::move(secret);
      } else {
        entry.value = std::move(secret);
        entry.name = name;
      }
    } catch (const Error& error) {
      file.problems.push_back(
          {entry.line,
           fmt::format("{}: {}{}", entry.name, error.what(),
                       in_our_image() ? "; no container has that file: with RUNTIME=docker "
                                        "write the secret itself"
                                      : "")});
    }
  }
  std::erase_if(file.entries,
                [](const EnvEntry& entry) { return !secret_of_file_name(entry.name).empty(); });
}

}  // namespace

const EnvEntry* EnvFile::find(std::string_view name) const {
  const auto found =
      std::ranges::find_if(entries, [&](const EnvEntry& entry) { return entry.name == name; });
  return found == entries.end() ? nullptr : &*found;
}

EnvFile parse_env(std::string_view text, const std::filesystem::path& path) {
  EnvFile file;
  file.path = path;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);

  int number = 0;
  for (const std::string& raw : split(text, '\n')) {
    ++number;
    std::string_view line = trim(raw);  // takes a Windows line end with it
    if (line.empty() || line.front() == '#') continue;
    if (line.starts_with("export ") || line.starts_with("export\t")) line = trim(line.substr(7));

    // A line that cannot be read is never shown: it may be a wrapped secret.
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) {
      file.problems.push_back({number, "this is not NAME=value; comment it out with # or mend it"});
      continue;
    }
    const std::string_view name = trim(line.substr(0, equals));
    if (name.empty() || !std::ranges::all_of(name, is_env_name_character)) {
      file.problems.push_back({number,
                               "what stands before '=' is not a name; write NAME=value, with no $ "
                               "and no quotes in NAME"});
      continue;
    }
    Value value = read_value(line.substr(equals + 1));
    if (!value.problem.empty()) {
      file.problems.push_back({number, fmt::format("{}: {}", shown(name), value.problem)});
      continue;
    }
    if (value.text.find('\0') != std::string::npos) {
      file.problems.push_back(
          {number, fmt::format("{} holds a NUL byte; is this a text file?", shown(name))});
      continue;
    }
    if (const EnvEntry* first = file.find(name)) {
      file.problems.push_back(
          {number, fmt::format("{} is here again, first on line {}; keep one of them", shown(name),
                               first->line)});
      continue;
    }
    file.entries.push_back({std::string(name), std::move(value.text), number});
  }
  return file;
}

EnvFile load_env(const std::filesystem::path& path) {
  const std::filesystem::path absolute = std::filesystem::absolute(path).lexically_normal();
  const auto text = read_file_if_exists(absolute);
  if (!text) {
    throw Error(ErrorKind::not_found, fmt::format("there is no {}", absolute.string()))
        .with_hint(
            "make one with `cp .env.cluster.example .env`, fill it in, and run the command again");
  }
  EnvFile file = parse_env(*text, absolute);
  read_secret_files(file);
  const auto value_of = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr || *value == '\0') return {};
    return value;
  };
  if (value_of("PGREVIVE_ENVIRONMENT")) add_environment(file, value_of);
  return file;
}

void add_environment(
    EnvFile& file, const std::function<std::optional<std::string>(const std::string&)>& value_of) {
  for (const std::string& name : env_names()) {
    auto value = value_of(name);
    if (!value && find_env_name(name)->secret) {
      if (const auto path = value_of(name + "_FILE")) {
        value = read_secret(*path);
      }
    }
    if (!value) continue;
    std::erase_if(file.entries, [&](const EnvEntry& entry) { return entry.name == name; });
    file.entries.push_back({name, *std::move(value), 0});
  }
}

}  // namespace pgrevive::cli
