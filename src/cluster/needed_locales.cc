#include "cluster/needed_locales.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/error.h"
#include "base/image.h"
#include "base/text.h"
#include "cluster/locales.h"
#include "cluster/notices.h"
#include "cluster/stored_catalog.h"
#include "repository/open.h"
#include "restore/databases.h"

namespace pgrevive::cluster {
namespace {

// Old versions of a row may be in the files beside the present one.
Databases named(const Databases& databases, const std::string& name) {
  Databases found;
  for (const auto& entry : databases)
    if (entry.second.name == name) found.insert(entry);
  return found;
}

// Whether there are some, and none that could be connected to.
bool are_closed(const Databases& databases, const HasLocale& has_locale) {
  return !databases.empty() && std::ranges::all_of(databases, [&](const auto& entry) {
    return !missing_locales({entry}, has_locale).empty();
  });
}

[[noreturn]] void refuse(const Databases& databases, const HasLocale& has_locale) {
  std::vector<std::string> texts;
  std::vector<std::string> remedies;
  for (const auto& missing : missing_locales(databases, has_locale)) {
    texts.push_back(missing_text(missing));
    remedies.push_back(how_to_install_locale(missing.locale));
  }
  throw Error(ErrorKind::not_found, fmt::format("{}", fmt::join(texts, "; ")))
      .with_hint(
          fmt::format("{}; or take a backup of after the database was made anew (RESTORE_SET), "
                      "if it was",
                      fmt::join(remedies, "; ")));
}

}  // namespace

Databases databases_to_come(const Settings& settings, const ChosenBackup& chosen) {
  const auto repository = repository::open_repository(settings.repository);
  const auto manifest = repository.load_manifest(chosen.info, chosen.backup.label);
  auto databases = stored_databases(repository, manifest);
  for (const auto& database : restore::left_out_databases(manifest, settings.databases))
    databases.erase(database.oid);
  return databases;
}

std::vector<MissingLocale> missing_locales(const Databases& databases,
                                           const HasLocale& has_locale) {
  std::map<std::string, std::set<std::string>> needed;
  for (const auto& [oid, database] : databases)
    for (const auto& locale : {database.collate, database.ctype})
      if (!locale.empty()) needed[locale].insert(printable(database.name, 80));
  std::vector<MissingLocale> missing;
  for (const auto& [locale, users] : needed)
    if (!has_locale(locale))
      missing.push_back(
          {.locale = printable(locale, 80), .databases = {users.begin(), users.end()}});
  return missing;
}

std::string missing_text(const MissingLocale& missing) {
  return fmt::format("the locale {} is not here, and without it nobody can connect to {}",
                     missing.locale, fmt::join(missing.databases, ", "));
}

Notice missing_notice(const MissingLocale& missing) {
  const auto databases = fmt::format("{}", fmt::join(missing.databases, ", "));
  if (in_our_image()) return notice("locale_missing_in_image", missing.locale, databases);
  const auto line = line_of_locale_gen(missing.locale);
  return line.empty() ? notice("locale_missing", missing.locale, databases)
                      : notice("locale_missing_in_debian", missing.locale, databases, line);
}

void refuse_without_locales(const Databases& databases, const std::string& set_up,
                            const HasLocale& has_locale) {
  const auto wanted = named(databases, set_up);
  if (are_closed(wanted, has_locale)) refuse(wanted, has_locale);
  const auto of_template = named(databases, "template1");
  // What is not there is made of it.
  if (wanted.empty() && are_closed(of_template, has_locale)) refuse(of_template, has_locale);
  // Either will do to be set up by.
  auto ways = named(databases, "postgres");
  ways.insert(of_template.begin(), of_template.end());
  if (are_closed(ways, has_locale)) refuse(ways, has_locale);
}

}  // namespace pgrevive::cluster
