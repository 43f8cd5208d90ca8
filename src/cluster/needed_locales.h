#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/notice.h"
#include "cluster/bring_up.h"
#include "cluster/settings.h"
#include "postgres/catalog_file.h"

// The locales of the C library that the databases of a backup need, told from its files before
// anything is restored. What the WAL since the backup changes in them is not known.
namespace pgrevive::cluster {

using Databases = std::map<std::uint32_t, postgres::DatabaseRow>;
using HasLocale = std::function<bool(const std::string&)>;

// Those that are to be restored. Empty where the files are not to be read as such. Throws what
// reading throws.
Databases databases_to_come(const Settings& settings, const ChosenBackup& chosen);

// A locale that is not here, and the databases to which nobody can connect without it.
struct MissingLocale {
  std::string locale;
  std::vector<std::string> databases;
};
// By name of the locale; fit to be printed. Pure, but for what `has_locale` is asked.
std::vector<MissingLocale> missing_locales(const Databases& databases, const HasLocale& has_locale);
// "the locale pt_BR.utf8 is not here, and without it nobody can connect to shop"
std::string missing_text(const MissingLocale& missing);
// The same, and how to install it.
Notice missing_notice(const MissingLocale& missing);

// Throws Error{not_found} where a start would come to nothing in the end: where it can connect
// neither to postgres nor to template1, nor to the database that it sets up, or cannot make that
// one. Pure, but for what `has_locale` is asked.
void refuse_without_locales(const Databases& databases, const std::string& set_up,
                            const HasLocale& has_locale);

}  // namespace pgrevive::cluster
