#include "cli/archive_get_words.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"

namespace pgrevive::cli {

ArchiveGetWords parse_archive_get(const std::vector<std::string>& words) {
  ArchiveGetWords result;
  std::vector<std::string> names;
  std::string repo;

  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--") {
      names.insert(names.end(), words.begin() + static_cast<std::ptrdiff_t>(i) + 1, words.end());
      break;
    }
    if (!word.starts_with('-') || word.size() == 1) {
      names.push_back(word);
      continue;
    }
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const bool known = name == "--config" || name == "--env-file" || name == "--stanza" ||
                       name == "--cluster" || name == "--fork" || name == "--line" ||
                       name == "--report" || name == "--guard-tablespaces" ||
                       name == "--make-tablespaces-outside" || name == "--own-config" ||
                       name == "--data-directory" || name == "--repo-type" ||
                       name == "--repo-path" || name == "--cipher-pass-file" || name == "--repo";
    if (!known) {
      throw Error(ErrorKind::usage,
                  fmt::format("archive-get has no option {}", printable(name, 60)))
          .with_hint("`pgrevive archive-get --help` lists them");
    }
    std::string value;
    if (equals != std::string::npos) {
      value = word.substr(equals + 1);
    } else if (i + 1 < words.size()) {
      value = words[++i];
    } else {
      throw Error(ErrorKind::usage, fmt::format("{} needs a value", name));
    }

    if (name == "--config") result.global.config = value;
    if (name == "--env-file") result.global.env_file = value;
    if (name == "--stanza") result.global.stanza = value;
    if (name == "--cluster") result.global.cluster = value;
    if (name == "--fork") result.fork = value;
    if (name == "--own-config") result.own_config = value;
    if (name == "--line") result.line = value;
    if (name == "--report") result.report = value;
    if (name == "--guard-tablespaces") result.tablespaces = value;
    if (name == "--make-tablespaces-outside") result.keep_out = value;
    if (name == "--data-directory") result.data_directory = value;
    if (name == "--repo-type") result.repository.repo_type = value;
    if (name == "--repo-path") result.repository.repo_path = value;
    if (name == "--cipher-pass-file") result.repository.cipher_pass_file = value;
    if (name == "--repo") repo = value;
  }

  if (names.size() != 2) {
    throw Error(ErrorKind::usage,
                "archive-get takes the name of a WAL file and the path to write it to")
        .with_hint("in restore_command write: pgrevive archive-get ... %f \"%p\"");
  }
  if (!repo.empty()) {
    const auto number = parse_unsigned(repo);
    if (!number || *number == 0 || *number > 256) {
      throw Error(ErrorKind::usage, "--repo must be a number from 1 to 256");
    }
    result.repository.repo = static_cast<int>(*number);
  }
  result.name = names[0];
  result.destination = names[1];
  return result;
}

}  // namespace pgrevive::cli
