#include "console/secrets.h"

#include <algorithm>
#include <functional>

#include "base/file.h"
#include "base/secret.h"
#include "base/text.h"
#include "cluster/console_process.h"
#include "postgres/log_passwords.h"

namespace pgrevive::console {
namespace {

constexpr const char* kMask = "***";
constexpr std::size_t kShortest = 4;

}  // namespace

std::vector<std::string> known_secrets(const cluster::StateDirectory& directory,
                                       const cluster::Settings& settings) {
  std::vector<std::string> secrets;
  const auto add = [&](const Secret& secret) {
    if (secret.reveal().size() < kShortest) return;
    secrets.push_back(secret.reveal());
    std::string doubled;
    for (const char c : secret.reveal()) doubled += c == '\'' ? "''" : std::string(1, c);
    if (doubled != secrets.back()) secrets.push_back(doubled);
  };
  for (const auto* secret :
       {&settings.password, &settings.repository.cipher_passphrase,
        &settings.repository.s3.secret_key, &settings.repository.s3.session_token,
        &settings.own_archive.secret_key, &settings.own_archive.session_token,
        &settings.own_archive.cipher_passphrase})
    add(*secret);
  if (const auto token = cluster::read_console_token(directory)) add(*token);
  std::error_code ignored;
  // Passwords that we made up: host:port:database:user:password.
  for (const auto& file : {directory.replication_passfile(), directory.user_passfile()})
    for (const auto& line : split(read_file_if_exists(file).value_or(""), '\n'))
      if (const auto at = line.rfind(':'); at != std::string::npos)
        add(Secret(line.substr(at + 1)));
  // The longest first: another may be its beginning, and would leave its end to be read.
  std::ranges::stable_sort(secrets, std::greater(), &std::string::size);
  return secrets;
}

std::vector<std::string> known_secrets(const cluster::StateDirectory& directory) {
  return known_secrets(directory, cluster::from_json(read_file(directory.settings())));
}

std::vector<std::string> known_secrets_if_any(const cluster::StateDirectory& directory) {
  try {
    return known_secrets(directory);
  } catch (const std::exception&) {
    return {};
  }
}

std::string without_secrets(std::string_view text, const std::vector<std::string>& secrets) {
  auto masked = postgres::without_passwords(text, kMask);
  for (const auto& secret : secrets)
    for (auto at = masked.find(secret); at != std::string::npos;
         at = masked.find(secret, at + std::string_view(kMask).size()))
      masked.replace(at, secret.size(), kMask);
  return masked;
}

void mask_errors(View& view, const std::vector<std::string>& secrets) {
  const auto mask = [&](std::string& text) { text = without_secrets(text, secrets); };
  auto& supervisor = view.status.supervisor;
  mask(view.failure);
  mask(supervisor.error);
  if (supervisor.request) mask(supervisor.request->error);
  if (supervisor.reindex)
    for (auto& failure : supervisor.reindex->failures) mask(failure);
  for (auto& notice : supervisor.notices) {
    mask(notice.text);
    if (const auto error = notice.values.find("error"); error != notice.values.end())
      mask(error->second);
  }
  mask(view.status.archiving);
  for (auto& node : view.status.nodes) {
    mask(node.error);
    mask(node.made_because);
  }
  for (auto& restore : view.status.restores) mask(restore.error);
  if (view.status.collations)
    for (auto& database : view.status.collations->databases) mask(database.error);
}

void mask_errors(RepositoryView& repository, const std::vector<std::string>& secrets) {
  const auto mask = [&](const std::string& text) { return without_secrets(text, secrets); };
  repository.error = mask(repository.error);
  if (!repository.stanza) return;
  if (auto& failure = repository.stanza->failure)
    failure = Error(failure->kind(), mask(failure->what())).with_hint(mask(failure->hint()));
  for (auto& database : repository.stanza->databases)
    database.recovery_problem = mask(database.recovery_problem);
}

void mask_errors(cluster::Preview& preview, const std::vector<std::string>& secrets) {
  const auto mask = [&](std::optional<Error>& problem) {
    if (!problem) return;
    problem = Error(problem->kind(), without_secrets(problem->what(), secrets))
                  .with_hint(without_secrets(problem->hint(), secrets));
  };
  mask(preview.place_problem);
  if (preview.restore) mask(preview.restore->outlook.problem);
}

}  // namespace pgrevive::console
